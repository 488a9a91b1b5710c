import { expect, test } from "vitest";
import { en } from "./en";
import { zh } from "./zh";

type Texts = { [key: string]: unknown };

function keys(texts: Texts, path = ""): string[] {
  return Object.entries(texts).flatMap(([key, value]) =>
    typeof value === "object" && value !== null ? keys(value as Texts, `${path}${key}.`) : [`${path}${key}`],
  );
}

test("both catalogues say the same things", () => {
  expect(keys(zh)).toEqual(keys(en));
});

test("nothing is left in the other language", () => {
  const left = Object.entries(zh).filter(([, text]) => typeof text === "string" && !/[\u4e00-\u9fff]/.test(text));
  expect(left).toEqual([]);
});

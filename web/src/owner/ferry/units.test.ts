import { expect, test } from "vitest";
import { unitsOf } from "./units";

test("seconds are as exact as they are short, or as one asks", () => {
  const { seconds } = unitsOf("en");
  expect([0, 0.43, 2.34, 61.2].map((value) => seconds(value))).toEqual(["0.0 sec", "0.4 sec", "2.3 sec", "61 sec"]);
  expect(seconds(0.004, 2)).toBe("0.00 sec");
  expect(unitsOf("zh-CN").seconds(0.77, 2)).toBe("0.77秒");
});

test("what is left is told in the unit that people would take", () => {
  expect([40, 600, 2 * 3600].map(unitsOf("en").about)).toEqual(["40 sec", "10 min", "2 hr"]);
});

test("sizes grow with their unit", () => {
  expect([0, 12_340, 48_000_000, 1_375_000_000].map(unitsOf("en").size)).toEqual(["0 kB", "12 kB", "48 MB", "1.4 GB"]);
});

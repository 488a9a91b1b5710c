import type { ReactNode } from "react";
import { said } from "../api/errors";
import { useWords } from "../words";
import { IconAlert } from "./icons";

// What went wrong, in words, said aloud once.
export function Trouble({ error, children }: { error?: unknown; children?: ReactNode }) {
  const words = useWords();
  if (!error && !children) return null;
  return (
    <p className="trouble" role="alert">
      <IconAlert />
      <span>{error ? said(error, words) : children}</span>
    </p>
  );
}

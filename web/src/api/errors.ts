import type { Words } from "../words";
import { ApiError } from "./client";

// An error in the reader's language: by its code where the catalogue has it, else as the server says it.
export function said(error: unknown, words: Words): string {
  if (!(error instanceof ApiError)) return words.broken(0);
  if (error.status === 0) return words.unreachable;
  return saidOf(error.code, error.message, words) || words.broken(error.status);
}

export const saidOf = (code: string, message: string, words: Words) => words.errors[code] ?? message;

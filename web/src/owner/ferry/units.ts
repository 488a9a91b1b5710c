// Seconds, sizes and rates for people, in their language.

import { useMemo } from "react";
import { LANGUAGES, useLanguage } from "../../words";

const SIZES = ["kilobyte", "megabyte", "gigabyte", "terabyte"] as const;
const HOUR = 3600;

export interface Units {
  seconds: (value: number, digits?: number) => string;
  about: (seconds: number) => string;
  size: (bytes: number) => string;
}

export function useUnits(): Units {
  const { language } = useLanguage();
  return useMemo(() => unitsOf(LANGUAGES[language].tag), [language]);
}

export function unitsOf(tag: string): Units {
  const inUnit = (value: number, unit: string, digits: number, least = 0) =>
    new Intl.NumberFormat(tag, { style: "unit", unit, unitDisplay: "short", minimumFractionDigits: least, maximumFractionDigits: digits }).format(value);
  const size = (bytes: number): string => {
    let [value, n] = [bytes / 1000, 0];
    for (; value >= 1000 && n < SIZES.length - 1; n++) value /= 1000;
    return inUnit(value, SIZES[n]!, value < 10 ? 1 : 0);
  };
  return {
    seconds: (value, digits = value < 10 ? 1 : 0) => inUnit(value, "second", digits, digits),
    about: (value) => (value < 90 ? inUnit(value, "second", 0) : value < 1.5 * HOUR ? inUnit(value / 60, "minute", 0) : inUnit(value / HOUR, "hour", 1)),
    size,
  };
}

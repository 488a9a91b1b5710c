// The page's language: what the reader chose, else what the browser prefers.

import { createContext, type ReactNode, useContext, useEffect, useMemo, useState } from "react";
import { keep, kept } from "../kept";
import { en, type Words } from "./en";
import { zh } from "./zh";

export type { Words };
export type Language = "en" | "zh";
export const LANGUAGES: Record<Language, { words: Words; name: string; tag: string }> = {
  en: { words: en, name: "English", tag: "en" },
  zh: { words: zh, name: "中文", tag: "zh-CN" },
};

const preferred = (): Language => (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en");
const chosen = (): Language => {
  const value = kept("language");
  return value === "en" || value === "zh" ? value : preferred();
};

interface Spoken { language: Language; words: Words; speak: (language: Language) => void }
const Context = createContext<Spoken>({ language: "en", words: en, speak: () => undefined });

export function Speaking({ children }: { children: ReactNode }) {
  const [language, setLanguage] = useState(chosen);
  const spoken = useMemo<Spoken>(() => {
    const speak = (next: Language) => {
      keep("language", next);
      setLanguage(next);
    };
    return { language, words: LANGUAGES[language].words, speak };
  }, [language]);
  useEffect(() => {
    document.documentElement.lang = LANGUAGES[language].tag;
  }, [language]);
  return <Context value={spoken}>{children}</Context>;
}

export const useLanguage = () => useContext(Context);
export const useWords = () => useContext(Context).words;

// The time of day, of seconds since 1970, as people here write it.
export function useTimes(): (seconds: number) => string {
  const { language } = useLanguage();
  return (seconds) => new Date(seconds * 1000).toLocaleTimeString(LANGUAGES[language].tag, { timeStyle: "short" });
}

// A day and the time of day, of seconds since 1970.
export function useMoments(): (seconds: number) => string {
  const { language } = useLanguage();
  return (seconds) => new Date(seconds * 1000).toLocaleString(LANGUAGES[language].tag, { dateStyle: "medium", timeStyle: "short" });
}

// Numbers for people, in their language.
export function useNumbers(): (value: number) => string {
  const { language } = useLanguage();
  return useMemo(() => {
    const format = new Intl.NumberFormat(LANGUAGES[language].tag);
    return (value: number) => format.format(value);
  }, [language]);
}

import type { ReactNode } from "react";
import { Mark } from "../parts/Mark";
import { LANGUAGES, type Language, useLanguage, useWords } from "../words";
import "./entrance.css";

// The frame of every page before the conversations.
export function Card({ title, hint, wide, children }: { title: string; hint?: string; wide?: boolean; children: ReactNode }) {
  return (
    <div className="entrance">
      <main className={wide ? "card wide" : "card"}>
        <Mark size={64} />
        <h1>{title}</h1>
        {hint && <p className="lead">{hint}</p>}
        {children}
      </main>
      <Languages />
    </div>
  );
}

function Languages() {
  const words = useWords();
  const { language, speak } = useLanguage();
  return (
    <nav className="languages" aria-label={words.language}>
      {(Object.keys(LANGUAGES) as Language[]).map((one) => (
        <button key={one} type="button" lang={LANGUAGES[one].tag} aria-pressed={one === language} onClick={() => speak(one)}>
          {LANGUAGES[one].name}
        </button>
      ))}
    </nav>
  );
}

import { IconCopy, IconTick } from "./icons";
import { useEffect, useState } from "react";
import { useWords } from "../words";
import { Act } from "./Act";

// Copies a text. On plain http a browser has no clipboard for scripts; there the old way still works.
export function Copy({ text, label }: { text: string; label?: string }) {
  const words = useWords();
  const [done, setDone] = useState(false);
  useEffect(() => {
    if (!done) return;
    const timer = setTimeout(() => setDone(false), 1600);
    return () => clearTimeout(timer);
  }, [done]);
  return (
    <Act label={done ? words.copied : (label ?? words.copy)} onClick={() => void copy(text).then(setDone)}>
      {done ? <IconTick /> : <IconCopy />}
    </Act>
  );
}

async function copy(text: string): Promise<boolean> {
  if (navigator.clipboard) {
    return navigator.clipboard.writeText(text).then(() => true, () => copyBySelection(text));
  }
  return copyBySelection(text);
}

function copyBySelection(text: string): boolean {
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "visually-hidden";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}

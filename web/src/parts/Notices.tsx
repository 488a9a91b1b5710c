import { useSyncExternalStore } from "react";
import { said } from "../api/errors";
import { useWords } from "../words";
import { Act } from "./Act";
import { IconAlert, IconClose } from "./icons";
import { current, dismiss, subscribe } from "./notices";
import "./notices.css";

export function Notices() {
  const words = useWords();
  const notices = useSyncExternalStore(subscribe, current);
  return (
    <div className="notices" role="status" aria-live="polite">
      {notices.map(({ key, error, text, undo }) => (
        <div key={key} className={error ? "notice bad" : "notice"}>
          {Boolean(error) && <IconAlert />}
          <span>{error ? said(error, words) : text}</span>
          {undo && <button type="button" className="link" onClick={() => { undo(); dismiss(key); }}>{words.undo}</button>}
          <Act label={words.close} onClick={() => dismiss(key)}><IconClose /></Act>
        </div>
      ))}
    </div>
  );
}

import Button from "@douyinfe/semi-ui-19/lib/es/button";
import { said } from "../api/errors";
import { useWords } from "../words";
import { Mark } from "./Mark";

// Nothing can be shown at all.
export function Unreachable({ error, again }: { error: unknown; again: () => void }) {
  const words = useWords();
  return (
    <main className="centre">
      <div className="unreachable" role="alert">
        <Mark size={56} />
        <p>{said(error, words)}</p>
        <Button theme="solid" onClick={again}>{words.again}</Button>
      </div>
    </main>
  );
}

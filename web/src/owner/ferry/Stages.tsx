import { IconTick } from "../../parts/icons";
import { useWords } from "../../words";
import type { FerryStatus } from "../data";

const STAGES = ["planned", "copying", "following", "ready", "done"] as const;

// How far the migration is, as steps. What is copied and not followed yet stands before following.
export function Stages({ stage }: { stage: FerryStatus["stage"] }) {
  const words = useWords();
  const now = STAGES.indexOf(stage === "copied" ? "following" : stage);
  const name = words.ferry.stages[STAGES[now]!];
  return (
    <ol className="stages" aria-label={words.ferry.stageOf(now + 1, STAGES.length, name)}>
      {STAGES.map((one, n) => {
        const isOver = n < now || stage === "done";
        return (
          <li key={one} className={isOver ? "over" : undefined} aria-current={n === now ? "step" : undefined}>
            <i aria-hidden="true">{isOver ? <IconTick /> : n + 1}</i>
            <span>{words.ferry.stages[one]}</span>
          </li>
        );
      })}
    </ol>
  );
}

import { IconTick } from "../../parts/icons";
import { useWords } from "../../words";
import type { FerryStream } from "../data";
import { Command, Said } from "./Said";

const ALWAYS = ["copied", "consistent", "followed", "lag", "verified", "rejects", "steps"] as const;
const STOPPED = ["copied", "stopped", "verified", "rejects", "steps"] as const;

// What has to be so before a cutover: what is, and what is in the way, with what helps.
export function Checks({ stream, working }: { stream: FerryStream; working: boolean }) {
  const words = useWords();
  const open = new Map(stream.blockers.map((blocker) => [blocker.check as string, blocker]));
  const shown = (stream.stopped ? STOPPED : open.has("trouble") ? ([...ALWAYS, "trouble"] as const) : ALWAYS).filter(
    (check) => check !== "lag" || stream.followed, // else nobody knows
  );
  return (
    <section aria-label={words.ferry.checks}>
      <h2>{words.ferry.checks} <span className="quiet">{words.ferry.toDo(open.size)}</span></h2>
      <ul className="rows checks">
        {shown.map((check) => {
          const blocker = open.get(check);
          const isComing = blocker?.passes && working;
          return (
            <li key={check} className={blocker ? "row open" : "row"}>
              <i role="img" aria-label={blocker ? words.ferry.isOpen : words.ferry.isDone}>{!blocker && <IconTick />}</i>
              <div className="what">
                <span>{words.ferry.check[check]}</span>
                {blocker && check === "trouble" && <span className="told"><Said text={blocker.says} /></span>}
                {isComing && <span className="quiet">{words.ferry.passes}</span>}
                {blocker && !isComing && words.ferry.help[check] && <span className="quiet">{words.ferry.help[check]}</span>}
                {blocker?.command && !isComing && check !== "stopped" && <Command text={blocker.command} />}
              </div>
            </li>
          );
        })}
      </ul>
    </section>
  );
}

import type { ReactNode } from "react";
import { IconAlert } from "../../parts/icons";
import { useMoments, useWords } from "../../words";
import type { Ferry, FerryStatus, FerryStream } from "../data";
import { Command, Said } from "./Said";
import { useUnits } from "./units";

interface Props { ferry: Ferry; status: FerryStatus }

// What goes on now, in one sentence, and what an operator does next.
export function Now({ ferry, status }: Props) {
  const words = useWords();
  const { stream } = status;
  if (status.stage === "done" && stream) return <Done ferry={ferry} stream={stream} />;
  if (stream?.stopped) return <Stopped stream={stream} />;
  if (status.switching) return <Sentence title={words.ferry.switching} />;
  switch (status.stage) {
    case "planned":
      return <Planned ferry={ferry} status={status} />;
    case "copying":
      return status.working ? <Copying status={status} /> : <Sentence bad title={words.ferry.nobodyCopies} hint={words.ferry.nobodyHint} command={ferry.run} />;
    case "copied":
      return <Sentence title={words.ferry.copied} hint={words.ferry.copiedHint} command={ferry.follow} />;
    case "ready":
      return <Sentence good title={words.ferry.ready} hint={words.ferry.readyHint} command={ferry.cutover} />;
    default:
      if (!stream?.followed && status.working) return <Sentence title={words.ferry.busy} hint={words.ferry.busyHint} />;
      return stream?.followed ? <Sentence title={words.ferry.following} /> : <Sentence bad title={words.ferry.nobodyFollows} hint={words.ferry.nobodyHint} command={ferry.follow} />;
  }
}

function Planned({ ferry, status }: Props) {
  const words = useWords();
  const open = ferry.plan?.risks.filter(({ level }) => level === "refuse").length ?? 0;
  if (status.other_plan) return <Sentence bad title={words.ferry.otherPlan} hint={words.ferry.otherPlanHint(status.other_plan.slice(0, 12))} />;
  if (open > 0) return <Sentence bad title={words.ferry.questions(open)} hint={words.ferry.questionsHint} />;
  return <Sentence title={words.ferry.planned} hint={words.ferry.plannedHint} command={ferry.run} />;
}

function Copying({ status }: { status: FerryStatus }) {
  const words = useWords();
  const units = useUnits();
  const left = status.tables.filter(({ copied }) => !copied).reduce((sum, { rows, about }) => sum + Math.max(0, about - rows), 0);
  const seconds = left / status.copied_per_s;
  return <Sentence title={words.ferry.copying} hint={Number.isFinite(seconds) && seconds > 0 ? words.ferry.left(units.about(seconds)) : undefined} />;
}

function Stopped({ stream }: { stream: FerryStream }) {
  const words = useWords();
  const past = stream.blockers.find(({ check }) => check === "stopped")?.command;
  return (
    <Sentence bad title={words.ferry.stopped} hint={words.ferry.stoppedHint}>
      <p><Said text={stream.stopped ?? ""} /></p>
      {stream.stopped_place && <p className="quiet">{words.ferry.stoppedAt} <code>{stream.stopped_place}</code></p>}
      {past && <p className="quiet">{words.ferry.past}</p>}
      {past && <Command text={past} />}
    </Sentence>
  );
}

function Done({ ferry, stream }: { ferry: Ferry; stream: FerryStream }) {
  const words = useWords();
  const units = useUnits();
  const moment = useMoments();
  const mark = stream.cutover.findLast(({ step }) => step === "switch");
  const hook = stream.cutover.findLast(({ step }) => step === "hook");
  if (hook?.error) {
    return (
      <Sentence bad title={words.ferry.notSwitched} hint={words.ferry.notSwitchedHint}>
        <Command text={ferry.cutover} />
        <p><Said text={hook.error} /></p>
      </Sentence>
    );
  }
  return (
    <Sentence
      good
      title={words.ferry.done}
      hint={
        <>
          {stream.unwritable !== null && words.ferry.unwritable(units.seconds(stream.unwritable, 2))}
          {mark && <span className="quiet"> {moment(mark.started_at)}</span>}
        </>
      }
    />
  );
}

interface Said { title: string; hint?: ReactNode; command?: string; bad?: boolean; good?: boolean; children?: ReactNode }

export function Sentence({ title, hint, command, bad, good, children }: Said) {
  return (
    <div className={bad ? "now bad" : good ? "now good" : "now"}>
      <h2>{bad && <IconAlert />}{title}</h2>
      {hint && <p>{hint}</p>}
      {command && <Command text={command} />}
      {children}
    </div>
  );
}

import Button from "@douyinfe/semi-ui-19/lib/es/button";
import { useQuery } from "@tanstack/react-query";
import { IconAlert } from "../../parts/icons";
import { Trouble } from "../../parts/Trouble";
import { useMoments, useWords } from "../../words";
import { ferry, type Ferry, type FerryPlan } from "../data";
import { useMigration } from "../watching";
import { Checks } from "./Checks";
import { Cutover } from "./Cutover";
import { Figures } from "./Figures";
import { Now, Sentence } from "./Now";
import { Plan, Positions } from "./Plan";
import { Refused } from "./Refused";
import { Said } from "./Said";
import { Stages } from "./Stages";
import { Tables } from "./Tables";
import "./ferry.css";

const SERVERS: Record<string, string> = { mariadb: "MariaDB", mysql: "MySQL" };

// A migration by `tako ferry` beside this site, as it goes on.
export default function Migration() {
  const words = useWords();
  const connected = useMigration();
  const { data, error } = useQuery(ferry);
  if (!data) return <Trouble error={error} />;
  const { plan, status, problem } = data;
  return (
    <div className="ferry" data-stage={status?.stage}>
      {!connected && <p className="quiet" role="status">{words.offline}</p>}
      {problem?.code === "target_unreachable" && <Away says={problem.says} readAt={data.read_at} />}
      {plan && <Ends plan={plan} />}
      {plan && <Stages stage={status?.stage ?? "planned"} />}
      {!plan && <Sentence title={words.ferry.noPlan} hint={words.ferry.noPlanHint(data.file)}><p className="quiet"><Said text={problem?.says ?? ""} /></p></Sentence>}
      {status && <Progress ferry={data} status={status} />}
      {plan && <Plan ferry={data} plan={plan} />}
      {status && <Positions status={status} />}
    </div>
  );
}

function Progress({ ferry, status }: { ferry: Ferry; status: NonNullable<Ferry["status"]> }) {
  const { stage, stream, tables } = status;
  const isDone = stage === "done";
  return (
    <>
      <Now ferry={ferry} status={status} />
      {tables.length > 0 && !isDone && <Figures status={status} />}
      {stream && !isDone && <Checks stream={stream} working={status.working} />}
      <Refused status={status} />
      {stream && <Cutover steps={stream.cutover} />}
      {tables.length > 0 && <Tables tables={tables} />}
    </>
  );
}

function Ends({ plan }: { plan: FerryPlan }) {
  const words = useWords();
  return (
    <p className="ends">
      <strong>{words.ferry.from(SERVERS[plan.source_server] ?? plan.source_server, plan.source_version, plan.database)}</strong>
      <span className="quiet"> {words.ferry.into} </span>
      <strong>{words.ferry.to(plan.target_version, plan.target_schema)}</strong>
    </p>
  );
}

// What is shown was so; it is shown as long as nobody knows better.
function Away({ says, readAt }: { says: string; readAt: number | null }) {
  const words = useWords();
  const moment = useMoments();
  const { refetch, isFetching } = useQuery(ferry);
  return (
    <div className="away" role="status">
      <IconAlert />
      <div>
        <strong>{words.ferry.away}</strong> {readAt !== null && words.ferry.lastSeen(moment(readAt))}
        <p className="quiet"><Said text={says} /></p>
      </div>
      <Button onClick={() => void refetch()} loading={isFetching}>{words.again}</Button>
    </div>
  );
}

import Button from "@douyinfe/semi-ui-19/lib/es/button";
import { useQuery } from "@tanstack/react-query";
import { need, POST } from "../api/client";
import { fail } from "../chat/watching";
import { queries } from "../data";
import { Trouble } from "../parts/Trouble";
import { useNumbers, useTimes, useWords } from "../words";
import { runningAnswers, type Sum, usage } from "./data";
import { useRunningAnswers } from "./watching";

const tokens = (sum: Sum) => sum.input_tokens + sum.output_tokens;

export function Usage() {
  const words = useWords();
  const number = useNumbers();
  const { data, error } = useQuery(usage);
  const today = data?.days.at(-1);
  return (
    <section>
      <Trouble error={error} />
      <Running />
      {data && today && (
        <>
          <h2>{words.owner.today}</h2>
          <dl className="figures">
            <div><dt>{words.owner.answers}</dt><dd>{number(today.answers)}</dd></div>
            <div><dt>{words.owner.read}</dt><dd>{number(today.input_tokens)}</dd></div>
            <div><dt>{words.owner.written}</dt><dd>{number(today.output_tokens)}</dd></div>
            <div><dt>{words.owner.tokens}</dt><dd>{number(tokens(today))}</dd></div>
          </dl>
          <h2>{words.owner.month}</h2>
          {data.models.length === 0 && <p className="empty">{words.owner.noUsage}</p>}
          {data.models.length > 0 && <Days days={data.days} />}
          <Split title={words.owner.byModel} lines={data.models.map(({ model, ...sums }) => ({ name: model, ...sums }))} />
          <Split title={words.owner.byUser} lines={data.users.map(({ email, ...sums }) => ({ name: email ?? words.owner.gone, ...sums }))} />
        </>
      )}
    </section>
  );
}

function Days({ days }: { days: ({ day: string } & Sum)[] }) {
  const words = useWords();
  const number = useNumbers();
  const most = Math.max(1, ...days.map(tokens));
  return (
    <div className="days" role="img" aria-label={`${words.owner.perDay}: ${days.filter((day) => tokens(day) > 0).map((day) => `${day.day} ${number(tokens(day))}`).join(", ")}`}>
      {days.map((day) => (
        <i key={day.day} className={tokens(day) === 0 ? "none" : undefined} title={`${day.day}: ${number(tokens(day))}`} style={{ height: `${Math.max(2, (100 * tokens(day)) / most)}%` }} />
      ))}
    </div>
  );
}

function Split({ title, lines }: { title: string; lines: { name: string; today: Sum; month: Sum }[] }) {
  const words = useWords();
  const number = useNumbers();
  if (lines.length === 0) return null;
  return (
    <div className="table-box" tabIndex={0} role="group" aria-label={title}>
      <table>
        <caption>{title}</caption>
        <thead>
          <tr><th scope="col">{words.owner.name}</th><th scope="col">{words.owner.answers}</th><th scope="col">{words.owner.today}</th><th scope="col">{words.owner.month}</th></tr>
        </thead>
        <tbody>
          {lines.map(({ name, today, month }) => (
            <tr key={name}><th scope="row">{name}</th><td>{number(month.answers)}</td><td>{number(tokens(today))}</td><td>{number(tokens(month))}</td></tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Running() {
  const words = useWords();
  const time = useTimes();
  const connected = useRunningAnswers();
  const { data, error } = useQuery(runningAnswers);
  const stop = (id: string) =>
    void need(POST("/api/owner/running/{response_id}/stop", { params: { path: { response_id: id } } }))
      .then(() => queries.invalidateQueries({ queryKey: ["owner"] }))
      .catch(fail);
  return (
    <>
      <h2>{words.owner.running}</h2>
      <Trouble error={error} />
      {!connected && <p className="quiet" role="status">{words.offline}</p>}
      {data?.length === 0 && <p className="empty">{words.owner.noRunning}</p>}
      <ul className="rows">
        {data?.map((answer) => (
          <li key={answer.id} className="row">
            <div className="what">
              <strong>{answer.email ?? words.owner.gone}</strong>
              <span className="quiet">{answer.model} · {words.owner.runningSince(time(answer.created_at))}</span>
            </div>
            <Button onClick={() => stop(answer.id)}>{words.owner.stop}</Button>
          </li>
        ))}
      </ul>
    </>
  );
}

import { Mark } from "../parts/Mark";
import { useWords } from "../words";

// A conversation that is to begin.
export function Greeting({ start }: { start: (text: string) => void }) {
  const words = useWords();
  return (
    <div className="greeting">
      <Mark size={72} />
      <h2>{words.greeting}</h2>
      <p>{words.greetingHint}</p>
      <ul>
        {words.starters.map(([name, text]) => (
          <li key={name}>
            <button type="button" onClick={() => start(text)}>
              <strong>{name}</strong>
              <span>{text}</span>
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

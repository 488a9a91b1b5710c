import { type FormEvent, useState } from "react";
import { type Site, setUp, signIn, signUp, type User } from "./api";
import { words } from "./words";

// Links with a secret keep it behind the #, which browsers do not send: /setup#token=… and /#invite=…
const secrets = new URLSearchParams(location.hash.slice(1));
const token = location.pathname === "/setup" ? secrets.get("token") : null;
const invite = secrets.get("invite") ?? undefined;

export function SignIn({ site, onUser }: { site: Site; onUser: (user: User) => void }) {
  const [mode, setMode] = useState<"setup" | "signUp" | "signIn">(token ? "setup" : invite ? "signUp" : "signIn");
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const email = String(form.get("email"));
    const password = String(form.get("password"));
    setBusy(true);
    try {
      const { user } = await {
        setup: () => setUp(token ?? "", email, password),
        signUp: () => signUp(email, password, invite),
        signIn: () => signIn(email, password),
      }[mode]();
      onUser(user);
    } catch (error) {
      setProblem((error as Error).message);
      setBusy(false);
    }
  }

  const maySignUp = site.registration === "open" || invite !== undefined;
  const other = mode === "signIn" ? (maySignUp ? "signUp" : null) : "signIn";
  return (
    <main className="card">
      <img src="/octopus.svg" alt="" width="64" height="64" />
      <h1>{site.name}</h1>
      {mode === "setup" && <p>{words.setupHint}</p>}
      {mode === "signUp" && invite && <p>{words.invited}</p>}
      {mode === "signIn" && site.needs_setup && <p>{words.setupNeeded}</p>}
      <form onSubmit={submit}>
        <label>
          {words.email}
          <input name="email" type="email" autoComplete="username" required autoFocus />
        </label>
        <label>
          {words.password}
          {mode === "signIn"
            ? <input name="password" type="password" autoComplete="current-password" required />
            : <input name="password" type="password" autoComplete="new-password" required minLength={8} placeholder={words.passwordHint} />}
        </label>
        {problem && <p className="problem" role="alert">{problem}</p>}
        <button disabled={busy}>{words[mode]}</button>
      </form>
      {other && (
        <button className="quiet" onClick={() => { setMode(other); setProblem(""); }}>{words[other]}</button>
      )}
    </main>
  );
}

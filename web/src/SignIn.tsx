import { useState, type FormEvent } from "react";
import { setUp, signIn, signUp, type Site, type User } from "./api";
import { words } from "./words";

export function SignIn({ site, onUser }: { site: Site; onUser: (user: User) => void }) {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  const setup = location.pathname === "/setup" && token !== null;
  const [signingUp, setSigningUp] = useState(false);
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const email = String(form.get("email"));
    const password = String(form.get("password"));
    setBusy(true);
    const done = setup ? setUp(token, email, password) : signingUp ? signUp(email, password) : signIn(email, password);
    done
      .then(({ user }) => onUser(user))
      .catch((error: Error) => setProblem(error.message))
      .finally(() => setBusy(false));
  }

  const title = setup ? words.setup : signingUp ? words.signUp : words.signIn;
  return (
    <main className="card">
      <img src="/octopus.svg" alt="" width="56" height="56" />
      <h1>{site.name}</h1>
      {setup && <p>{words.setupHint}</p>}
      {site.needs_setup && !setup && <p>{words.setupNeeded}</p>}
      <form onSubmit={submit}>
        <label>{words.email}<input name="email" type="email" autoComplete="username" required autoFocus /></label>
        <label>
          {words.password}
          <input name="password" type="password" minLength={8} required autoComplete={setup || signingUp ? "new-password" : "current-password"} />
        </label>
        {problem && <p className="problem" role="alert">{problem}</p>}
        <button disabled={busy}>{title}</button>
      </form>
      {site.registration === "open" && !setup && (
        <button className="quiet" onClick={() => setSigningUp(!signingUp)}>{signingUp ? words.signIn : words.signUp}</button>
      )}
    </main>
  );
}

import { useEffect, useState } from "react";
import { getSession, getSite, signOut, type Site, type User } from "./api";
import { Chat } from "./Chat";
import { SignIn } from "./SignIn";
import { words } from "./words";

export function App() {
  const [site, setSite] = useState<Site | null>(null);
  const [user, setUser] = useState<User | null>(null);
  const [problem, setProblem] = useState("");

  useEffect(() => {
    getSite()
      .then(async (found) => {
        const session = await getSession().catch(() => null);
        setUser(session?.user ?? null);
        setSite(found);
      })
      .catch((error: Error) => setProblem(error.message));
  }, []);

  if (problem) return <main className="card" role="alert">{problem}</main>;
  if (site === null) return null;
  if (user === null) {
    return (
      <SignIn
        site={site}
        onUser={(signedIn) => {
          if (location.pathname === "/setup") history.replaceState(null, "", "/");
          setUser(signedIn);
        }}
      />
    );
  }
  return (
    <>
      <header>
        <a className="brand" href="/"><img src="/octopus.svg" alt="" width="28" height="28" />{site.name}</a>
        <span className="who">{user.email}</span>
        <button className="quiet" onClick={() => signOut().then(() => location.assign("/"))}>{words.signOut}</button>
      </header>
      <Chat />
    </>
  );
}

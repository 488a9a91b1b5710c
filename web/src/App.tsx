import { useEffect, useState } from "react";
import { getSite, getUser, type Site, signOut, type User } from "./api";
import { Chat } from "./Chat";
import { SignIn } from "./SignIn";
import { words } from "./words";

export function App() {
  const [site, setSite] = useState<Site | null>(null);
  const [user, setUser] = useState<User | null>(null);
  const [problem, setProblem] = useState("");
  const fail = (error: Error) => setProblem(error.message);

  useEffect(() => {
    Promise.all([getSite(), getUser()]).then(([foundSite, foundUser]) => {
      document.title = foundSite.name;
      setUser(foundUser);
      setSite(foundSite);
    }, fail);
  }, []);

  // The address of a link that was for signing up holds a secret, and is of no use any more.
  function signedIn(found: User) {
    if (location.hash || location.pathname === "/setup") history.replaceState(null, "", "/");
    setUser(found);
  }

  if (problem) return <main className="card" role="alert"><p>{problem}</p><a href="">{words.again}</a></main>;
  if (site === null) return null;
  if (user === null) return <SignIn site={site} onUser={signedIn} />;
  return (
    <>
      <header>
        <a className="brand" href="/"><img src="/octopus.svg" alt="" width="28" height="28" />{site.name}</a>
        <span className="who">{user.email}</span>
        <button className="quiet" onClick={() => signOut().then(() => location.assign("/"), fail)}>{words.signOut}</button>
      </header>
      <Chat onSignedOut={() => setUser(null)} />
    </>
  );
}

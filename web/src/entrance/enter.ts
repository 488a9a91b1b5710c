import { need, POST } from "../api/client";
import { queries, session } from "../data";

export type Way =
  | { kind: "setUp"; email: string; password: string; token: string }
  | { kind: "signUp"; email: string; password: string; invite: string | null }
  | { kind: "signIn"; email: string; password: string }
  | { kind: "reset"; password: string; token: string };

// A secret of a link stands behind the #, which browsers do not send: /setup#token=… and /#invite=…
export const secret = (name: string) => new URLSearchParams(location.hash.slice(1)).get(name);

// Becomes a user of the site. The secret of the link is of no use any more, and leaves the address.
export async function enter(way: Way): Promise<void> {
  const { user } = await asked(way);
  history.replaceState(null, "", location.pathname + location.search);
  queries.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== "site" && queryKey[0] !== "session" });
  queries.setQueryData(session.queryKey, user);
  await queries.invalidateQueries({ queryKey: ["site"] });
}

function asked(way: Way) {
  switch (way.kind) {
    case "setUp":
      return need(POST("/api/setup", { body: { email: way.email, password: way.password, token: way.token } }));
    case "signUp":
      return need(POST("/api/users", { body: { email: way.email, password: way.password, invite: way.invite } }));
    case "signIn":
      return need(POST("/api/session", { body: { email: way.email, password: way.password } }));
    case "reset":
      return need(POST("/api/reset", { body: { password: way.password, token: way.token } }));
  }
}

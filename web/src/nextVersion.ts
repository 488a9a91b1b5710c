// Which version of the page this browser gets: a proxy in front of the site looks at a cookie.

const COOKIE = "next-beta";
const A_YEAR = 365 * 86_400;

export const isNext = () => document.cookie.split("; ").includes(`${COOKIE}=1`);

// Whoever has the next version can always go back, also when the owner offers it no longer.
export function switchVersion(): void {
  const age = isNext() ? 0 : A_YEAR;
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `${COOKIE}=1; Path=/; Max-Age=${age}; SameSite=Lax${secure}`;
  location.reload();
}

import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense } from "react";
import { Link, Redirect } from "wouter";
import type { Site, User } from "../api/client";
import { IconLeft } from "../parts/icons";
import { Mark } from "../parts/Mark";
import { Notices } from "../parts/Notices";
import { useWords } from "../words";
import { ownSite } from "./data";
import { Models } from "./Models";
import { SiteSettings } from "./SiteSettings";
import { Usage } from "./Usage";
import { Users } from "./Users";
import "./owner.css";

const PARTS = { models: Models, users: Users, usage: Usage, site: SiteSettings, ferry: lazy(() => import("./ferry/Migration")) };
type Part = keyof typeof PARTS;
// Those that only some sites have.
const PLACES: Part[] = ["ferry"];

// Where they are wider than the window, the one that is shown is seen.
const intoView = (link: HTMLAnchorElement | null) => link?.scrollIntoView({ block: "nearest", inline: "center" });

export default function Owner({ user, site, part }: { user: User; site: Site; part: string }) {
  const words = useWords();
  const { data: own } = useQuery(ownSite);
  const parts = (Object.keys(PARTS) as Part[]).filter((one) => !PLACES.includes(one) || own?.places.includes(one));
  if (!(part in PARTS) || (own && !parts.includes(part as Part))) return <Redirect to="/owner/models" replace />;
  const Shown = PARTS[part as Part];
  return (
    <div className="owner">
      <header>
        <Link href="/" className="back"><IconLeft />{words.owner.back}</Link>
        <span className="brand"><Mark size={26} /><span>{site.name}</span></span>
      </header>
      <h1>{words.owner.title}</h1>
      <nav aria-label={words.owner.title}>
        {parts.map((one) => (
          <Link key={one} href={`/owner/${one}`} aria-current={one === part ? "page" : undefined} ref={one === part ? intoView : undefined}>{words.owner.parts[one]}</Link>
        ))}
      </nav>
      <main>
        <Suspense>{parts.includes(part as Part) && <Shown user={user} />}</Suspense>
      </main>
      <Notices />
    </div>
  );
}

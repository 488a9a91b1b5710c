import { Link, Redirect } from "wouter";
import type { Site, User } from "../api/client";
import { IconLeft } from "../parts/icons";
import { Mark } from "../parts/Mark";
import { Notices } from "../parts/Notices";
import { useWords } from "../words";
import { Models } from "./Models";
import { SiteSettings } from "./SiteSettings";
import { Usage } from "./Usage";
import { Users } from "./Users";
import "./owner.css";

const PARTS = { models: Models, users: Users, usage: Usage, site: SiteSettings };
type Part = keyof typeof PARTS;

export default function Owner({ user, site, part }: { user: User; site: Site; part: string }) {
  const words = useWords();
  if (!(part in PARTS)) return <Redirect to="/owner/models" replace />;
  const Shown = PARTS[part as Part];
  return (
    <div className="owner">
      <header>
        <Link href="/" className="back"><IconLeft />{words.owner.back}</Link>
        <span className="brand"><Mark size={26} /><span>{site.name}</span></span>
      </header>
      <h1>{words.owner.title}</h1>
      <nav aria-label={words.owner.title}>
        {(Object.keys(PARTS) as Part[]).map((one) => (
          <Link key={one} href={`/owner/${one}`} aria-current={one === part ? "page" : undefined}>{words.owner.parts[one]}</Link>
        ))}
      </nav>
      <main><Shown user={user} /></main>
      <Notices />
    </div>
  );
}

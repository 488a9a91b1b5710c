import Button from "@douyinfe/semi-ui-19/lib/es/button";
import { useEffect, useRef, useState } from "react";
import { Link } from "wouter";
import type { Entry, Site, User } from "../api/client";
import { entries, useConversations } from "../data";
import { Act } from "../parts/Act";
import { IconClose, IconPlus, IconSearch } from "../parts/icons";
import { Mark } from "../parts/Mark";
import { Trouble } from "../parts/Trouble";
import { useWords, type Words } from "../words";
import { ConversationEntry } from "./ConversationEntry";
import { ListSkeleton } from "./Skeletons";
import { UserMenu } from "./UserMenu";
import "./sidebar.css";

interface Props { user: User; site: Site; current: string; open: boolean; close: () => void }

export function Sidebar({ user, site, current, open, close }: Props) {
  const words = useWords();
  const aside = useRef<HTMLElement>(null);
  const [typed, setTyped] = useState("");
  const search = useSettled(typed.trim(), 250);

  // On a narrow screen the list lies over the conversation, until it is closed.
  useEffect(() => {
    if (!open) return;
    const before = document.activeElement as HTMLElement | null;
    aside.current?.querySelector<HTMLElement>("a, button")?.focus();
    const pressed = (event: KeyboardEvent) => event.key === "Escape" && close();
    document.addEventListener("keydown", pressed);
    return () => {
      document.removeEventListener("keydown", pressed);
      before?.focus();
    };
  }, [open]);

  return (
    <>
      {open && <div className="scrim" onClick={close} />}
      <aside ref={aside} className={open ? "sidebar open" : "sidebar"}>
        <div className="top">
          <Link href="/" className="brand"><Mark size={30} /><span>{site.name}</span></Link>
          <Act className="for-narrow" label={words.closeList} onClick={close}><IconClose /></Act>
        </div>
        <Link href="/" className="new" onClick={close}><IconPlus />{words.newConversation}</Link>
        <div className="search" role="search">
          <IconSearch />
          <input type="search" aria-label={words.search} placeholder={words.search} value={typed} onChange={(event) => setTyped(event.target.value)} />
        </div>
        <nav aria-label={words.conversations}><List search={search} current={current} /></nav>
        <UserMenu user={user} />
      </aside>
    </>
  );
}

function List({ search, current }: { search: string; current: string }) {
  const words = useWords();
  const { data, error, isPending, hasNextPage, isFetchingNextPage, fetchNextPage, refetch } = useConversations(search);
  const end = useRef<HTMLDivElement>(null);

  useEffect(() => {
    if (!hasNextPage) return;
    const near = new IntersectionObserver(([entry]) => entry?.isIntersecting && void fetchNextPage(), { rootMargin: "300px" });
    near.observe(end.current!);
    return () => near.disconnect();
  }, [hasNextPage, fetchNextPage, data]);

  if (isPending) return <ListSkeleton />;
  if (error && !data) return <div className="none"><Trouble error={error} /><Button size="small" onClick={() => void refetch()}>{words.again}</Button></div>;
  const list = entries(data);
  if (list.length === 0) return <p className="none">{search ? words.nothingFound(search) : words.noConversations}</p>;
  return (
    <>
      {byAge(list, words, new Date()).map(([age, group]) => (
        <section key={age} aria-label={age}>
          <h2>{age}</h2>
          <ul>{group.map((entry) => <ConversationEntry key={entry.id} entry={entry} isCurrent={entry.id === current} />)}</ul>
        </section>
      ))}
      <div ref={end}>{isFetchingNextPage && <ListSkeleton />}</div>
    </>
  );
}

// The list in parts, as people remember: today, yesterday, …
export function byAge(list: Entry[], words: Pick<Words, "today" | "yesterday" | "thisWeek" | "thisMonth" | "earlier">, now: Date): [string, Entry[]][] {
  const day = (back: number) => new Date(now.getFullYear(), now.getMonth(), now.getDate() - back).getTime() / 1000;
  const ages: [string, number][] = [
    [words.today, day(0)], [words.yesterday, day(1)], [words.thisWeek, day(7)], [words.thisMonth, day(30)], [words.earlier, -Infinity],
  ];
  const groups = new Map<string, Entry[]>();
  for (const entry of list) {
    const age = ages.find(([, since]) => entry.updated_at >= since)![0];
    groups.set(age, [...(groups.get(age) ?? []), entry]);
  }
  return [...groups];
}

// A value that has not changed for that many milliseconds.
function useSettled(value: string, milliseconds: number): string {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), milliseconds);
    return () => clearTimeout(timer);
  }, [value, milliseconds]);
  return settled;
}

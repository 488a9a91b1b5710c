import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";
import type { Conversation } from "../api/client";
import { readEarlier } from "../data";
import { Act } from "../parts/Act";
import { IconToEnd } from "../parts/icons";
import { useWords } from "../words";
import { type Acts, Message } from "./Message";
import type { Place } from "./places";
import { fail } from "./watching";

// A reader this close to the end, in pixels, is taken along when it grows.
const NEAR = 60;

interface Props { conversation: Conversation | undefined; places: Place[]; acts: Acts }

export function Messages({ conversation, places, acts }: Props) {
  const words = useWords();
  const box = useRef<HTMLDivElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  const place = useRef(0);
  const [away, setAway] = useState(false);
  const asked = places.findLast(({ message }) => message.role === "user")?.asked ?? false;

  const toEnd = useCallback(() => {
    const { current } = box;
    if (current) current.scrollTop = current.scrollHeight;
  }, []);

  // One's own question is always seen.
  useLayoutEffect(() => {
    if (!asked) return;
    atEnd.current = true;
    toEnd();
  }, [asked, toEnd]);

  useLayoutEffect(() => {
    toEnd();
    const grown = new ResizeObserver(() => {
      if (atEnd.current) toEnd();
    });
    grown.observe(list.current!);
    grown.observe(box.current!);
    return () => grown.disconnect();
  }, [toEnd]);

  function scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = box.current!;
    // Only going up is going away: the answer may have grown between a scrolling and the news of it.
    if (scrollHeight - scrollTop - clientHeight < NEAR) atEnd.current = true;
    else if (scrollTop < place.current) atEnd.current = false;
    place.current = scrollTop;
    setAway(!atEnd.current);
  }

  return (
    <div className="scrolled">
      <div className="messages" ref={box} onScroll={scrolled} tabIndex={0} role="log" aria-live="off" aria-label={words.conversationText}>
        {conversation?.has_more && <Earlier conversation={conversation} box={box} />}
        <div className="list" ref={list}>
          {places.map(({ message, siblings, asked: isAsked }, n) => (
            <Message key={message.id} message={message} siblings={siblings} asked={isAsked} last={n === places.length - 1} acts={acts} />
          ))}
        </div>
      </div>
      {away && <Act className="to-end" label={words.toEnd} onClick={toEnd}><IconToEnd /></Act>}
    </div>
  );
}

// Reads the page before when the reader comes near the beginning of what is shown.
function Earlier({ conversation, box }: { conversation: Conversation; box: React.RefObject<HTMLDivElement | null> }) {
  const words = useWords();
  const here = useRef<HTMLButtonElement>(null);
  const [reading, setReading] = useState(false);
  const first = conversation.messages[0]?.id;

  const read = useCallback(() => {
    setReading(true);
    // Browsers hold the place of a reader who is not at the very top.
    if (box.current && box.current.scrollTop < 1) box.current.scrollTop = 1;
    readEarlier(conversation).catch(fail).finally(() => setReading(false));
  }, [conversation, box]);

  useEffect(() => {
    const near = new IntersectionObserver(([entry]) => entry?.isIntersecting && read(), { root: box.current, rootMargin: "600px 0px 0px 0px" });
    near.observe(here.current!);
    return () => near.disconnect();
  }, [first]);

  return <button ref={here} type="button" className="earlier" disabled={reading} onClick={read}>{reading ? words.loading : words.earlierMessages}</button>;
}

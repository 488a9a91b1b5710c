import { type ReactNode, useLayoutEffect, useRef } from "react";
import type { Shown } from "./conversation";
import { Message } from "./Message";
import { words } from "./words";

// A reader this close to the end, in pixels, is taken along when it grows.
const NEAR = 80;

export function Messages({ list, running, children }: { list: Shown[]; running: boolean; children: ReactNode }) {
  const box = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  const questions = list.filter(({ role }) => role === "user").length;

  useLayoutEffect(() => {
    atEnd.current = true;
  }, [questions]);

  useLayoutEffect(() => {
    if (atEnd.current) box.current!.scrollTop = box.current!.scrollHeight;
  });

  function scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = box.current!;
    atEnd.current = scrollHeight - scrollTop - clientHeight < NEAR;
  }

  return (
    <div className="messages" ref={box} onScroll={scrolled} aria-live="polite" aria-busy={running}>
      {children}
      {list.length === 0 && <p className="empty">{words.empty}</p>}
      {list.map((message, n) => (
        <Message key={message.id} {...message} running={running && n === list.length - 1} />
      ))}
    </div>
  );
}

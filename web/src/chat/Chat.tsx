import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { useRoute } from "wouter";
import type { Site, User } from "../api/client";
import { conversation } from "../data";
import { Notices } from "../parts/Notices";
import { useWords } from "../words";
import { Conversation } from "./Conversation";
import { Sidebar } from "./Sidebar";
import { useFeed } from "./watching";
import "./frame.css";

export default function Chat({ user, site }: { user: User; site: Site }) {
  const words = useWords();
  const [isConversation, params] = useRoute("/c/:id");
  const id = isConversation ? params.id : "";
  const [listOpen, setListOpen] = useState(false);
  const { data } = useQuery(conversation(id));
  const title = data?.id === id ? data.title : "";
  useFeed();

  useEffect(() => {
    document.title = title ? `${title} · ${site.name}` : site.name;
  }, [title, site.name]);

  useEffect(() => setListOpen(false), [id]);

  return (
    <div className="frame">
      <a className="skip" href="#ask">{words.ask}</a>
      <Sidebar user={user} site={site} current={id} open={listOpen} close={() => setListOpen(false)} />
      <Conversation id={id} title={title} openList={() => setListOpen(true)} inert={listOpen} isOwner={user.admin} />
      <Notices />
    </div>
  );
}

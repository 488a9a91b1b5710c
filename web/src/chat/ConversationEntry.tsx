import { memo, useState } from "react";
import { Link, useLocation } from "wouter";
import { DELETE, type Entry, need, POST } from "../api/client";
import { queries } from "../data";
import { Act } from "../parts/Act";
import { IconDelete, IconEdit, IconMore, IconTitle } from "../parts/icons";
import { Menu, MenuItem } from "../parts/Menu";
import { notice } from "../parts/notices";
import { useWords } from "../words";
import { Rename } from "./Rename";
import { fail } from "./watching";

export const ConversationEntry = memo(function ConversationEntry({ entry, isCurrent }: { entry: Entry; isCurrent: boolean }) {
  const words = useWords();
  const [path, go] = useLocation();
  const [renaming, setRenaming] = useState(false);
  const title = entry.title || words.untitled;
  const params = { path: { conversation_id: entry.id } };
  const changed = () => queries.invalidateQueries({ queryKey: ["conversations"] });

  async function remove() {
    try {
      await need(DELETE("/api/conversations/{conversation_id}", { params }));
      if (path === `/c/${entry.id}`) go("/");
      queries.removeQueries({ queryKey: ["conversation", entry.id] });
      await changed();
      notice({ text: words.deleted(title), undo: () => void restore().catch(fail) });
    } catch (error) {
      fail(error);
    }
  }

  async function restore() {
    await need(POST("/api/conversations/{conversation_id}/restore", { params }));
    await changed();
    go(`/c/${entry.id}`);
  }

  async function retitle() {
    await need(POST("/api/conversations/{conversation_id}/title", { params }));
    await changed();
  }

  return (
    <li className={isCurrent ? "entry current" : "entry"}>
      <Link href={`/c/${entry.id}`} aria-current={isCurrent ? "page" : undefined} title={title}>
        <span className="title">{title}</span>
        {entry.generating && <span className="dot" role="img" aria-label={words.running} />}
      </Link>
      <Menu
        position="bottomRight"
        items={
          <>
            <MenuItem icon={<IconEdit />} onClick={() => setRenaming(true)}>{words.rename}</MenuItem>
            <MenuItem icon={<IconTitle />} onClick={() => void retitle().catch(fail)}>{words.newTitle}</MenuItem>
            <MenuItem icon={<IconDelete />} type="danger" onClick={() => void remove()}>{words.delete}</MenuItem>
          </>
        }
      >
        <Act label={words.optionsOf(title)}><IconMore /></Act>
      </Menu>
      {renaming && <Rename entry={entry} close={() => setRenaming(false)} />}
    </li>
  );
});

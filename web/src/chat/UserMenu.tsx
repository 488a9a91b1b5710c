import Dropdown from "@douyinfe/semi-ui-19/lib/es/dropdown";
import { useLocation } from "wouter";
import { type Appearance, choose, useAppearance } from "../appearance";
import { DELETE, need, type User } from "../api/client";
import { queries } from "../data";
import { IconLeave, IconOwner, IconUp } from "../parts/icons";
import { LANGUAGES, type Language, useLanguage, useWords } from "../words";
import { fail } from "./watching";

export function UserMenu({ user }: { user: User }) {
  const words = useWords();
  const { language, speak } = useLanguage();
  const appearance = useAppearance();
  const [, go] = useLocation();

  async function leave() {
    await need(DELETE("/api/session"));
    queries.clear();
    location.assign("/");
  }

  return (
    <Dropdown
      trigger="click"
      position="topLeft"
      clickToHide
      motion={false}
      showTick
      render={
        <Dropdown.Menu>
          {user.admin && <Dropdown.Item icon={<IconOwner />} onClick={() => go("/owner")}>{words.ownersPage}</Dropdown.Item>}
          {user.admin && <Dropdown.Divider />}
          <Dropdown.Title>{words.language}</Dropdown.Title>
          {(Object.keys(LANGUAGES) as Language[]).map((one) => (
            <Dropdown.Item key={one} active={one === language} onClick={() => speak(one)}><span lang={LANGUAGES[one].tag}>{LANGUAGES[one].name}</span></Dropdown.Item>
          ))}
          <Dropdown.Divider />
          <Dropdown.Title>{words.appearance}</Dropdown.Title>
          {(["system", "light", "dark"] as Appearance[]).map((one) => (
            <Dropdown.Item key={one} active={one === appearance} onClick={() => choose(one)}>{words[one]}</Dropdown.Item>
          ))}
          <Dropdown.Divider />
          <Dropdown.Item icon={<IconLeave />} onClick={() => void leave().catch(fail)}>{words.signOut}</Dropdown.Item>
        </Dropdown.Menu>
      }
    >
      <button type="button" className="user">
        <span className="visually-hidden">{words.account}</span>
        <span className="initial" aria-hidden="true">{user.email[0]!.toUpperCase()}</span>
        <span className="email">{user.email}</span>
        <IconUp />
      </button>
    </Dropdown>
  );
}

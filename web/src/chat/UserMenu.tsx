import { useState } from "react";
import { useQuery } from "@tanstack/react-query";
import { useLocation } from "wouter";
import { type Appearance, choose, useAppearance } from "../appearance";
import { DELETE, need, type User } from "../api/client";
import { queries, site } from "../data";
import { isNext, switchVersion } from "../nextVersion";
import { IconGoOn, IconKey, IconLeave, IconOwner, IconUp } from "../parts/icons";
import { Menu, MenuDivider, MenuItem, MenuTitle } from "../parts/Menu";
import { LANGUAGES, type Language, useLanguage, useWords } from "../words";
import { ChangePassword } from "./ChangePassword";
import { fail } from "./watching";

export function UserMenu({ user }: { user: User }) {
  const words = useWords();
  const { language, speak } = useLanguage();
  const appearance = useAppearance();
  const [, go] = useLocation();
  const { data: siteNow } = useQuery(site);
  const [changing, setChanging] = useState(false);

  async function leave() {
    await need(DELETE("/api/session"));
    queries.clear();
    location.assign("/");
  }

  return (
    <>
      <Menu
        position="topLeft"
        showTick
        items={
          <>
            {user.admin && <MenuItem icon={<IconOwner />} onClick={() => go("/owner")}>{words.ownersPage}</MenuItem>}
            {user.admin && <MenuDivider />}
            <MenuTitle>{words.language}</MenuTitle>
            {(Object.keys(LANGUAGES) as Language[]).map((one) => (
              <MenuItem key={one} active={one === language} onClick={() => speak(one)}><span lang={LANGUAGES[one].tag}>{LANGUAGES[one].name}</span></MenuItem>
            ))}
            <MenuDivider />
            <MenuTitle>{words.appearance}</MenuTitle>
            {(["system", "light", "dark"] as Appearance[]).map((one) => (
              <MenuItem key={one} active={one === appearance} onClick={() => choose(one)}>{words[one]}</MenuItem>
            ))}
            <MenuDivider />
            {(siteNow?.next_version || isNext()) && (
              <MenuItem icon={<IconGoOn />} onClick={switchVersion}>{isNext() ? words.currentVersion : words.nextVersion}</MenuItem>
            )}
            <MenuItem icon={<IconKey />} onClick={() => setChanging(true)}>{words.changePassword}</MenuItem>
            <MenuItem icon={<IconLeave />} onClick={() => void leave().catch(fail)}>{words.signOut}</MenuItem>
          </>
        }
      >
        <button type="button" className="user">
          <span className="visually-hidden">{words.account}</span>
          <span className="initial" aria-hidden="true">{user.email[0]!.toUpperCase()}</span>
          <span className="email">{user.email}</span>
          <IconUp />
        </button>
      </Menu>
      {changing && <ChangePassword user={user} close={() => setChanging(false)} />}
    </>
  );
}

import Button from "@douyinfe/semi-ui-19/lib/es/button";
import Modal from "@douyinfe/semi-ui-19/lib/es/modal";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { DELETE, GET, need, PATCH, POST, type User } from "../api/client";
import { fail } from "../chat/watching";
import { queries } from "../data";
import { Act } from "../parts/Act";
import { Confirm } from "../parts/Confirm";
import { IconMore, IconPlus, IconSearch } from "../parts/icons";
import { Menu, MenuItem } from "../parts/Menu";
import { Trouble } from "../parts/Trouble";
import { LANGUAGES, useLanguage, useNumbers, useWords } from "../words";
import { type Account, invites } from "./data";
import { Invite } from "./Invite";
import { OneTimeLink } from "./OneTimeLink";

const changed = () => queries.invalidateQueries({ queryKey: ["owner"] });

export function Users({ user }: { user: User }) {
  const words = useWords();
  const [search, setSearch] = useState("");
  const [inviting, setInviting] = useState(false);
  const { data, error, hasNextPage, fetchNextPage } = useInfiniteQuery({
    queryKey: ["owner", "users", search],
    queryFn: ({ pageParam }) => need(GET("/api/owner/users", { params: { query: { after: pageParam, search } } })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => (page.has_more ? page.data.at(-1)?.id : undefined),
    placeholderData: (before) => before,
  });
  return (
    <section>
      <div className="head">
        <div className="search" role="search">
          <IconSearch />
          <input type="search" aria-label={words.owner.searchUsers} placeholder={words.owner.searchUsers} value={search} onChange={(event) => setSearch(event.target.value)} />
        </div>
        <Button theme="solid" icon={<IconPlus />} onClick={() => setInviting(true)}>{words.owner.invite}</Button>
      </div>
      <Trouble error={error} />
      <ul className="rows">
        {data?.pages.flatMap((page) => page.data).map((account) => <AccountRow key={account.id} account={account} isMe={account.id === user.id} />)}
      </ul>
      {hasNextPage && <Button onClick={() => void fetchNextPage()}>{words.owner.moreUsers}</Button>}
      <OpenInvites />
      {inviting && <Invite close={() => setInviting(false)} />}
    </section>
  );
}

function AccountRow({ account, isMe }: { account: Account; isMe: boolean }) {
  const words = useWords();
  const number = useNumbers();
  const date = useDates();
  const [link, setLink] = useState("");
  const [asking, setAsking] = useState<"" | "disable" | "reset">("");
  const params = { path: { user_id: account.id } };
  const done = (work: Promise<unknown>) => void work.then(changed).catch(fail);

  const disable = () => done(need(POST("/api/owner/users/{user_id}/disable", { params })));
  const reset = () =>
    void need(POST("/api/owner/users/{user_id}/reset", { params })).then(({ path }) => setLink(location.origin + path)).catch(fail);

  return (
    <li className={account.disabled ? "row off" : "row"}>
      <div className="what">
        <strong>{account.email}{isMe && <span className="quiet"> ({words.owner.you})</span>}</strong>
        <span className="quiet">{words.owner.since(date(account.created_at))} · {words.owner.tokensToday(number(account.tokens_today))}</span>
      </div>
      {account.admin && <span className="tag">{words.owner.owner}</span>}
      {account.disabled && <span className="tag bad">{words.owner.disabled}</span>}
      {!isMe && (
        <Menu
          position="bottomRight"
          items={
            <>
              <MenuItem onClick={() => setAsking("reset")}>{words.owner.reset}</MenuItem>
              <MenuItem onClick={() => done(need(PATCH("/api/owner/users/{user_id}", { params, body: { admin: !account.admin } })))}>
                {account.admin ? words.owner.makeUser : words.owner.makeOwner}
              </MenuItem>
              {account.disabled ? (
                <MenuItem onClick={() => done(need(POST("/api/owner/users/{user_id}/enable", { params })))}>{words.owner.enable}</MenuItem>
              ) : (
                <MenuItem type="danger" onClick={() => setAsking("disable")}>{words.owner.disable}</MenuItem>
              )}
            </>
          }
        >
          <Act label={words.owner.optionsOf(account.email)}><IconMore /></Act>
        </Menu>
      )}
      {asking === "disable" && (
        <Confirm title={words.owner.disableUser(account.email)} text={words.owner.disableHint} act={words.owner.disable} onAct={disable} close={() => setAsking("")} />
      )}
      {asking === "reset" && (
        <Confirm title={words.owner.resetUser(account.email)} text={words.owner.resetHint} act={words.owner.makeLink} onAct={reset} close={() => setAsking("")} />
      )}
      {link && <Modal visible centered title={words.owner.reset} footer={null} onCancel={() => setLink("")}><OneTimeLink link={link} /></Modal>}
    </li>
  );
}

function OpenInvites() {
  const words = useWords();
  const date = useDates();
  const { data } = useQuery(invites);
  if (!data?.length) return null;
  const takeBack = (id: string) => void need(DELETE("/api/owner/invites/{invite_id}", { params: { path: { invite_id: id } } })).then(changed).catch(fail);
  return (
    <>
      <h2>{words.owner.invites}</h2>
      <ul className="rows">
        {data.map((invite) => (
          <li key={invite.id} className="row">
            <div className="what">
              <strong>{invite.note || words.owner.noNote}</strong>
              <span className="quiet">{words.owner.until(date(invite.expires_at))}</span>
            </div>
            {invite.admin && <span className="tag">{words.owner.owner}</span>}
            <Button onClick={() => takeBack(invite.id)}>{words.owner.takeBack}</Button>
          </li>
        ))}
      </ul>
    </>
  );
}

function useDates() {
  const { language } = useLanguage();
  return (seconds: number) => new Date(seconds * 1000).toLocaleDateString(LANGUAGES[language].tag, { dateStyle: "medium" });
}

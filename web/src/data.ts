// What the server has told, kept until it says otherwise. Reading again is asked for by the feed, by the end of an answer
// and by the reader coming back.

import { type InfiniteData, keepPreviousData, QueryClient, queryOptions, useInfiniteQuery } from "@tanstack/react-query";
import { ApiError, type Conversation, type Entry, GET, need } from "./api/client";
import type { News } from "./stream/feed";

const FIRST_PAGE = 40;
const EARLIER_PAGE = 100;

export const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 30_000,
      retry: (failures, error) => failures < 5 && error instanceof ApiError && (error.status === 0 || error.status >= 500),
      retryDelay: (failures) => Math.min(10_000, 500 * 2 ** failures),
      networkMode: "always", // a site in a home network needs no internet
    },
    mutations: { networkMode: "always" },
  },
});

export const site = queryOptions({ queryKey: ["site"], queryFn: () => need(GET("/api/site")) });

// The user, or null for a visitor.
export const session = queryOptions({
  queryKey: ["session"],
  queryFn: () =>
    need(GET("/api/session")).then(
      ({ user }) => user,
      (error: ApiError) => {
        if (error.status === 401) return null;
        throw error;
      },
    ),
});

export const models = queryOptions({ queryKey: ["models"], queryFn: () => need(GET("/api/models")).then(({ data }) => data) });
export const quota = queryOptions({ queryKey: ["quota"], queryFn: () => need(GET("/api/quota")) });

interface Listed { data: Entry[]; has_more: boolean }

// One's conversations, newest first, page by page.
export const useConversations = (search: string) =>
  useInfiniteQuery({
    queryKey: ["conversations", search],
    queryFn: ({ pageParam }): Promise<Listed> =>
      need(GET("/api/conversations", { params: { query: { after: pageParam, search: search || undefined, limit: 50 } } })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => (last.has_more ? last.data.at(-1)?.id : undefined),
    placeholderData: keepPreviousData,
  });

const path = (id: string) => ({ path: { conversation_id: id } });

// Where this tab asked or walked, it stays, though another device has gone elsewhere in the same conversation.
const staying = new Map<string, string>();

// The newest version of each conversation that there has been news of.
const newest = new Map<string, number>();

// A reader who comes back finds what the site shows everywhere.
export const followOthers = () => staying.clear();

export const conversation = (id: string) =>
  queryOptions({
    queryKey: ["conversation", id],
    queryFn: async () => {
      let fresh = await readBranch(id);
      // A first reading is not begun anew by news that comes while it is on its way, so it may be older than the news.
      if (fresh.version < (newest.get(id) ?? 0)) fresh = await readBranch(id);
      const here = staying.get(id);
      const isHere = here === undefined || fresh.messages.some((message) => message.id === here);
      return withEarlier(isHere ? fresh : await readBranch(id, here), queries.getQueryData<Conversation>(["conversation", id]));
    },
    staleTime: 0,
    enabled: id !== "",
  });

const readBranch = (id: string, leaf?: string) =>
  need(GET("/api/conversations/{conversation_id}", { params: { ...path(id), query: { limit: FIRST_PAGE, leaf } } }));

// Shows the branch that ends with the message `leaf`, and stays there.
export async function showBranch(id: string, leaf: string): Promise<void> {
  stayAt(await readBranch(id, leaf));
}

export function stayAt(shown: Conversation): void {
  const queryKey = ["conversation", shown.id];
  const known = queries.getQueryData<Conversation>(queryKey);
  if (shown.leaf_id) staying.set(shown.id, shown.leaf_id);
  queries.setQueryData<Conversation>(queryKey, withEarlier(shown, known));
  // What was asked for first may arrive last: then there is something newer to read, a title for example.
  if (shown.version < Math.max(known?.version ?? 0, newest.get(shown.id) ?? 0)) void queries.invalidateQueries({ queryKey });
}

// Reads a page more of the branch's beginning.
export async function readEarlier(known: Conversation): Promise<void> {
  const query = { before: known.messages[0]!.id, limit: EARLIER_PAGE, leaf: known.leaf_id ?? undefined };
  const page = await need(GET("/api/conversations/{conversation_id}", { params: { ...path(known.id), query } }));
  queries.setQueryData<Conversation>(["conversation", known.id], (now) =>
    now && now.messages[0]?.id === query.before
      ? { ...now, messages: [...page.messages, ...now.messages], has_more: page.has_more }
      : now,
  );
}

// What was read last, after what was read of its beginning before: the messages before a message are always the same.
export function withEarlier(fresh: Conversation, known: Conversation | undefined): Conversation {
  const first = fresh.messages[0];
  if (!known || !first) return fresh;
  const at = known.messages.findIndex(({ id }) => id === first.id);
  const before = at >= 0 ? at : known.messages.findIndex(({ id }) => id === first.parent_id) + 1;
  if (before === 0) return fresh;
  return { ...fresh, messages: [...known.messages.slice(0, before), ...fresh.messages], has_more: known.has_more };
}

// What the news makes out of date.
export function hear(news: News): void {
  if (!("id" in news)) return void queries.invalidateQueries();
  // Its version is a place, and the conversation's own is as it was.
  if (news.kind === "queued") return void queries.invalidateQueries({ queryKey: ["conversation", news.id] });
  newest.set(news.id, Math.max(news.version, newest.get(news.id) ?? 0));
  void queries.invalidateQueries({ queryKey: ["conversations"] });
  if (news.kind === "ended") void queries.invalidateQueries({ queryKey: ["quota"] });
  const known = queries.getQueryData<Conversation>(["conversation", news.id]);
  if (news.kind === "deleted") void queries.resetQueries({ queryKey: ["conversation", news.id] });
  else if (!known || known.version < news.version) void queries.invalidateQueries({ queryKey: ["conversation", news.id] });
}

// A model's name, as far as it is offered to the reader.
export const nameOfModel = (id: string) => queries.getQueryData(models.queryKey)?.find((model) => model.id === id)?.name ?? id;

export function entries(list: InfiniteData<Listed> | undefined): Entry[] {
  return list?.pages.flatMap(({ data }) => data) ?? [];
}

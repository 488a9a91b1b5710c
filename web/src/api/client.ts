// The one place that talks to the server, except for its streams: see stream/. Types come from the server's own document.

import createClient from "openapi-fetch";
import type { components, paths } from "./schema";

type Schemas = components["schemas"];
export type Site = Schemas["SiteObject"];
export type User = Schemas["UserObject"];
export type Model = Schemas["ModelEntry"];
export type Quota = Schemas["Quota"];
export type Entry = Schemas["ConversationEntry"];
export type Conversation = Schemas["ConversationDetail"];
export type Message = Schemas["Message"];
export type Metadata = Schemas["Metadata"];
export type Delta = Partial<Schemas["TextDelta"] & Schemas["ReasoningDelta"]>;
export type Done = Schemas["Done"];
export type Failure = Schemas["Failure"];
export type Hint = Schemas["Hint"];

// What the server answered, or that it did not answer (status 0). `code` is for programs and for our catalogues.
export class ApiError extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly code: string,
  ) {
    super(message);
  }
}

const client = createClient<paths>({ baseUrl: location.origin, fetch: (request) => fetch(request) });

export const { GET, POST, PUT, PATCH, DELETE } = client;

interface Answered { data?: unknown; error?: unknown; response: Response }

// What was asked for, or an `ApiError`.
export async function need<T extends Answered>(asked: Promise<T>): Promise<NonNullable<T["data"]>> {
  const { data, error, response } = await asked.catch(() => {
    throw new ApiError("", 0, "unreachable");
  });
  if (!response.ok) throw failureOf(error, response.status);
  return data as NonNullable<T["data"]>;
}

// /api answers with problem+json (RFC 9457), a proxy in between with anything.
function failureOf(told: unknown, status: number): ApiError {
  const { detail, code } = (typeof told === "object" && told !== null ? told : {}) as { detail?: unknown; code?: unknown };
  return new ApiError(typeof detail === "string" ? detail : "", status, typeof code === "string" ? code : "");
}

export async function refusal(response: Response): Promise<ApiError> {
  return failureOf(await response.json().catch(() => null), response.status);
}

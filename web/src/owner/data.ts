// What the owner's page reads and changes.

import { queryOptions } from "@tanstack/react-query";
import { GET, need } from "../api/client";
import { queries } from "../data";
import type { components } from "../api/schema";

type Schemas = components["schemas"];
export type OwnModel = Schemas["ModelObject"];
export type Provider = Schemas["ProviderObject"];
export type Preset = Schemas["PresetObject"];
export type Account = Schemas["AccountObject"];
export type Trial = Schemas["TestResult"];
export type Sum = Schemas["UsageSum"];
export type Ferry = Schemas["FerryObject"];
export type FerryPlan = Schemas["FerryPlan"];
export type FerryStatus = Schemas["FerryStatus"];
export type FerryStream = Schemas["FerryStream"];
export type FerryTable = Schemas["FerryTable"];
export type FerryRisk = Schemas["FerryRisk"];

const list = <T>({ data }: { data: T[] }) => data;

export const ownModels = queryOptions({ queryKey: ["owner", "models"], queryFn: () => need(GET("/api/owner/models")).then(list) });
export const providers = queryOptions({ queryKey: ["owner", "providers"], queryFn: () => need(GET("/api/owner/providers")).then(list) });
export const presets = queryOptions({ queryKey: ["owner", "presets"], queryFn: () => need(GET("/api/owner/presets")).then(list), staleTime: Infinity });
export const ownSite = queryOptions({ queryKey: ["owner", "site"], queryFn: () => need(GET("/api/owner/site")) });
export const usage = queryOptions({ queryKey: ["owner", "usage"], queryFn: () => need(GET("/api/owner/usage")) });
export const invites = queryOptions({ queryKey: ["owner", "invites"], queryFn: () => need(GET("/api/owner/invites")).then(list) });
export const runningAnswers = queryOptions({ queryKey: ["owner", "running"], queryFn: () => need(GET("/api/owner/running")).then(list) });

export const ferry = queryOptions({ queryKey: ["owner", "ferry"], queryFn: () => need(GET("/api/owner/ferry")) });

// After a change of models: for the owner and for who chooses among them.
export const modelsChanged = () =>
  Promise.all([
    queries.invalidateQueries({ queryKey: ["owner"] }),
    queries.invalidateQueries({ queryKey: ["models"] }),
    queries.invalidateQueries({ queryKey: ["site"] }),
  ]);

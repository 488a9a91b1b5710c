import Button from "@douyinfe/semi-ui-19/lib/es/button";
import { useMutation, useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { need, PATCH } from "../api/client";
import { queries } from "../data";
import { Field } from "../parts/Field";
import { notice } from "../parts/notices";
import { Trouble } from "../parts/Trouble";
import { useWords } from "../words";
import { ownModels, ownSite } from "./data";

export function SiteSettings() {
  const words = useWords();
  const { data: site, error } = useQuery(ownSite);
  const { data: models } = useQuery(ownModels);
  const [edits, setEdits] = useState<Partial<Omit<NonNullable<typeof site>, "fixed">>>({});
  const saving = useMutation({
    mutationFn: () => need(PATCH("/api/owner/site", { body: edits })),
    onSuccess: async () => {
      await Promise.all([queries.invalidateQueries({ queryKey: ["owner"] }), queries.invalidateQueries({ queryKey: ["site"] }), queries.invalidateQueries({ queryKey: ["quota"] })]);
      setEdits({});
      notice({ text: words.owner.saved });
    },
  });
  if (error) return <Trouble error={error} />;
  if (!site) return null;
  const now = { ...site, ...edits };
  const fixed = (key: string) => (site.fixed[key] ? words.owner.fixed(site.fixed[key]) : undefined);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    saving.mutate();
  };
  return (
    <form className="model-form narrow" onSubmit={submit}>
      <Field label={words.owner.siteName} required maxLength={60} value={now.site_name} disabled={Boolean(fixed("site_name"))} hint={fixed("site_name")} onChange={(site_name) => setEdits({ ...edits, site_name })} />
      <fieldset disabled={Boolean(fixed("registration"))}>
        <legend>{words.owner.registration}</legend>
        {([["open", words.owner.open], ["invite", words.owner.inviteOnly], ["closed", words.owner.closed]] as const).map(([value, label]) => (
          <label key={value} className="check">
            <input type="radio" name="registration" checked={now.registration === value} onChange={() => setEdits({ ...edits, registration: value })} />
            {label}
          </label>
        ))}
        {fixed("registration") && <p className="hint">{fixed("registration")}</p>}
      </fieldset>
      <Field label={words.owner.dailyTokens} type="number" min={0} required value={String(now.daily_tokens)} disabled={Boolean(fixed("daily_tokens"))} hint={fixed("daily_tokens") ?? words.owner.dailyTokensHint} onChange={(value) => setEdits({ ...edits, daily_tokens: Number(value) })} />
      <label className="field">
        <span>{words.owner.titleModel}</span>
        <select value={now.title_model ?? ""} disabled={Boolean(fixed("title_model"))} onChange={(event) => setEdits({ ...edits, title_model: event.target.value || null })}>
          <option value="">{words.owner.sameModel}</option>
          {models?.map((model) => <option key={model.id} value={model.id}>{model.name}</option>)}
        </select>
        {fixed("title_model") && <span className="hint">{fixed("title_model")}</span>}
      </label>
      <Trouble error={saving.error} />
      <div className="acts"><Button htmlType="submit" theme="solid" loading={saving.isPending} disabled={Object.keys(edits).length === 0}>{words.save}</Button></div>
    </form>
  );
}

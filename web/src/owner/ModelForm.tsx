import Button from "@douyinfe/semi-ui-19/lib/es/button";
import { useMutation, useQuery } from "@tanstack/react-query";
import { type FormEvent, useId, useState } from "react";
import { need, POST } from "../api/client";
import { Field } from "../parts/Field";
import { Trouble } from "../parts/Trouble";
import { useWords } from "../words";
import { modelsChanged, presets, type Preset } from "./data";
import { TrialResult } from "./TrialResult";
import "./owner.css";

const DEFAULT_SIZES = { context_tokens: 8192, max_output_tokens: 4096 };

// A model of an upstream, described, tried and offered.
export default function ModelForm({ done, cancel }: { done: () => void; cancel: () => void }) {
  const words = useWords();
  const { data, error } = useQuery(presets);
  const [kind, setKind] = useState<Preset["kind"]>("hunyuan");
  const preset = data?.find((one) => one.kind === kind);
  if (error) return <Trouble error={error} />;
  if (!data || !preset) return null;
  return (
    <div className="model-form">
      <div className="kinds" role="radiogroup" aria-label={words.owner.provider}>
        {data.map((one) => (
          <label key={one.kind}>
            <input type="radio" name="kind" checked={one.kind === kind} onChange={() => setKind(one.kind)} />
            <span>{words.owner.presets[one.kind]}</span>
          </label>
        ))}
      </div>
      <Upstream key={kind} preset={preset} done={done} cancel={cancel} />
    </div>
  );
}

function Upstream({ preset, done, cancel }: { preset: Preset; done: () => void; cancel: () => void }) {
  const words = useWords();
  const listId = useId();
  const [address, setAddress] = useState(preset.base_url);
  const [key, setKey] = useState("");
  const [model, setModel] = useState(preset.models[0]?.upstream_model ?? "");
  const [name, setName] = useState("");
  const [sizes, setSizes] = useState<{ context_tokens?: number; max_output_tokens?: number }>({});
  const [slots, setSlots] = useState("0");
  const upstream = { kind: preset.kind, base_url: address.trim(), api_key: key.trim() || null };

  const offered = useMutation({ mutationFn: () => need(POST("/api/owner/models/offered", { body: upstream })) });
  const testing = useMutation({ mutationFn: () => need(POST("/api/owner/models/test", { body: { ...upstream, upstream_model: model.trim() } })) });

  const known = preset.models.find((one) => one.upstream_model === model.trim());
  const listed = offered.data?.data.find((one) => one.id === model.trim());
  const size = (which: keyof typeof DEFAULT_SIZES) => sizes[which] ?? listed?.[which] ?? known?.[which] ?? DEFAULT_SIZES[which];
  const shownName = name || listed?.name || known?.name || model.trim();
  const suggestions = offered.data?.data.map(({ id }) => id) ?? preset.models.map(({ upstream_model }) => upstream_model);

  const [provider, setProvider] = useState("");
  const saving = useMutation({
    mutationFn: async () => {
      // A second attempt after the model was refused needs no second provider.
      const id = provider || (await need(POST("/api/owner/providers", { body: { ...upstream, name: providerName(preset, address) } }))).id!;
      setProvider(id);
      await need(
        POST("/api/owner/models", {
          body: {
            provider_id: id,
            upstream_model: model.trim(),
            name: shownName,
            context_tokens: size("context_tokens"),
            max_output_tokens: size("max_output_tokens"),
            slots: Number(slots),
          },
        }),
      );
      await modelsChanged();
    },
    onSuccess: done,
  });

  function submit(event: FormEvent) {
    event.preventDefault();
    saving.mutate();
  }

  function changed(set: (value: string) => void) {
    return (value: string) => {
      set(value);
      setProvider("");
      testing.reset();
    };
  }

  return (
    <form onSubmit={submit}>
      <p className="quiet">
        {words.owner.presetHints[preset.kind]}{" "}
        {preset.key_url && <a href={preset.key_url} target="_blank" rel="noopener noreferrer">{words.owner.getKey}</a>}
      </p>
      <Field label={words.owner.address} name="address" type="url" required value={address} onChange={changed(setAddress)} />
      <Field label={preset.needs_key ? words.owner.key : `${words.owner.key} (${words.optional})`} name="key" type="password" autoComplete="off" required={preset.needs_key} value={key} onChange={changed(setKey)} hint={words.owner.keyHint} />
      <div className="with-act">
        <Field label={words.owner.model} name="model" required list={listId} value={model} onChange={changed(setModel)} hint={words.owner.modelHint} autoComplete="off" />
        <Button onClick={() => offered.mutate()} loading={offered.isPending} disabled={address.trim() === ""}>{words.owner.listModels}</Button>
        <datalist id={listId}>{suggestions.map((one) => <option key={one} value={one} />)}</datalist>
      </div>
      {offered.data?.error && <Trouble>{words.errors[offered.data.error.code] ?? offered.data.error.message}</Trouble>}
      <Trouble error={offered.error} />
      <Field label={words.owner.shownName} name="name" value={name} placeholder={shownName} onChange={setName} maxLength={100} />
      <details>
        <summary>{words.owner.limits}</summary>
        <div className="two">
          <Field label={words.owner.context} type="number" min={1} value={String(size("context_tokens"))} onChange={(value) => setSizes({ ...sizes, context_tokens: Number(value) })} />
          <Field label={words.owner.output} type="number" min={1} value={String(size("max_output_tokens"))} onChange={(value) => setSizes({ ...sizes, max_output_tokens: Number(value) })} />
        </div>
        <Field label={words.owner.slots} type="number" min={0} value={slots} onChange={setSlots} hint={words.owner.slotsHint} />
      </details>
      <TrialResult trial={testing.data} error={testing.error} />
      <Trouble error={saving.error} />
      <div className="acts">
        <Button type="tertiary" onClick={cancel}>{words.cancel}</Button>
        <Button onClick={() => testing.mutate()} loading={testing.isPending} disabled={model.trim() === "" || address.trim() === ""}>{words.owner.test}</Button>
        <Button htmlType="submit" theme="solid" loading={saving.isPending}>{words.owner.addModel}</Button>
      </div>
    </form>
  );
}

// The preset's name; of another address its host, by which an owner knows it again.
function providerName(preset: Preset, address: string): string {
  if (preset.kind !== "custom") return preset.name;
  try {
    return new URL(address).host;
  } catch {
    return preset.name;
  }
}

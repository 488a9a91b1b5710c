import Button from "@douyinfe/semi-ui-19/lib/es/button";
import Modal from "@douyinfe/semi-ui-19/lib/es/modal";
import { useMutation, useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { DELETE, need, PATCH, POST, PUT } from "../api/client";
import { fail } from "../chat/watching";
import { Act } from "../parts/Act";
import { Confirm } from "../parts/Confirm";
import { Field } from "../parts/Field";
import { IconDelete, IconDown, IconEdit, IconMore, IconPlus, IconUp } from "../parts/icons";
import { Menu, MenuItem } from "../parts/Menu";
import { Trouble } from "../parts/Trouble";
import { useWords } from "../words";
import { modelsChanged, type OwnModel, ownModels } from "./data";
import ModelForm from "./ModelForm";
import { TrialResult } from "./TrialResult";

const path = (model: OwnModel) => ({ path: { model_id: model.id } });

export function Models() {
  const words = useWords();
  const { data, error } = useQuery(ownModels);
  const [adding, setAdding] = useState(false);
  const ids = data?.map(({ id }) => id) ?? [];

  async function move(from: number, to: number) {
    const order = ids.toSpliced(from, 1).toSpliced(to, 0, ids[from]!);
    await need(PUT("/api/owner/models/order", { body: { ids: order } }));
    await modelsChanged();
  }

  return (
    <section>
      <div className="head">
        <p className="quiet">{words.owner.modelsHint}</p>
        <Button theme="solid" icon={<IconPlus />} onClick={() => setAdding(true)}>{words.owner.addModel}</Button>
      </div>
      <Trouble error={error} />
      {data?.length === 0 && <p className="empty">{words.owner.noModels}</p>}
      <ul className="rows">
        {data?.map((model, n) => (
          <ModelRow key={model.id} model={model} first={n === 0} last={n === data.length - 1} move={(by) => void move(n, n + by).catch(fail)} />
        ))}
      </ul>
      <Modal visible={adding} title={words.owner.addModel} footer={null} onCancel={() => setAdding(false)} width={560} centered closeOnEsc maskClosable={false}>
        {adding && <ModelForm done={() => setAdding(false)} cancel={() => setAdding(false)} />}
      </Modal>
    </section>
  );
}

function ModelRow({ model, first, last, move }: { model: OwnModel; first: boolean; last: boolean; move: (by: number) => void }) {
  const words = useWords();
  const [editing, setEditing] = useState(false);
  const [removing, setRemoving] = useState(false);
  const testing = useMutation({ mutationFn: () => need(POST("/api/owner/models/test", { body: { model: model.id } })) });
  const audience = !model.enabled ? "nobody" : model.admins_only ? "ownersOnly" : "everybody";

  async function restrict(to: string) {
    const body = { enabled: to !== "nobody", admins_only: to === "ownersOnly" };
    await need(PATCH("/api/owner/models/{model_id}", { params: path(model), body }));
    await modelsChanged();
  }

  async function remove() {
    await need(DELETE("/api/owner/models/{model_id}", { params: path(model) }));
    await modelsChanged();
  }

  return (
    <li className={model.enabled ? "row" : "row off"}>
      <span className="order">
        <Act label={words.owner.up(model.name)} disabled={first} onClick={() => move(-1)}><IconUp /></Act>
        <Act label={words.owner.down(model.name)} disabled={last} onClick={() => move(1)}><IconDown /></Act>
      </span>
      <div className="what">
        <strong>{model.name}</strong>
        <span className="quiet">
          {model.demo ? <span className="demo">{words.demo}</span> : model.provider}
          {model.fixed && !model.demo && ` · ${model.fixed}`}
        </span>
      </div>
      <select aria-label={words.owner.audience(model.name)} value={audience} onChange={(event) => void restrict(event.target.value).catch(fail)}>
        {(["everybody", "ownersOnly", "nobody"] as const).map((one) => <option key={one} value={one}>{words.owner[one]}</option>)}
      </select>
      <Button onClick={() => testing.mutate()} loading={testing.isPending}>{words.owner.test}</Button>
      {model.provider_id !== null && (
        <Menu
          position="bottomRight"
          items={
            <>
              <MenuItem icon={<IconEdit />} onClick={() => setEditing(true)}>{words.owner.edit}</MenuItem>
              <MenuItem icon={<IconDelete />} type="danger" onClick={() => setRemoving(true)}>{words.owner.remove}</MenuItem>
            </>
          }
        >
          <Act label={words.owner.optionsOf(model.name)}><IconMore /></Act>
        </Menu>
      )}
      <div className="result"><TrialResult trial={testing.data} error={testing.error} /></div>
      {removing && (
        <Confirm
          title={words.owner.removeModel(model.name)}
          text={words.owner.removeModelHint}
          act={words.owner.remove}
          onAct={() => void remove().catch(fail)}
          close={() => setRemoving(false)}
        />
      )}
      {editing && <EditModel model={model} close={() => setEditing(false)} />}
    </li>
  );
}

function EditModel({ model, close }: { model: OwnModel; close: () => void }) {
  const words = useWords();
  const [name, setName] = useState(model.name);
  const [upstream, setUpstream] = useState(model.upstream_model ?? "");
  const [context, setContext] = useState(String(model.context_tokens));
  const [output, setOutput] = useState(String(model.max_output_tokens));
  const [slots, setSlots] = useState(String(model.slots));
  const saving = useMutation({
    mutationFn: async () => {
      const body = { name: name.trim(), upstream_model: upstream.trim(), context_tokens: Number(context), max_output_tokens: Number(output), slots: Number(slots) };
      await need(PATCH("/api/owner/models/{model_id}", { params: path(model), body }));
      await modelsChanged();
    },
    onSuccess: close,
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    saving.mutate();
  };
  return (
    <Modal visible title={words.owner.editModel} footer={null} onCancel={close} centered>
      <form className="model-form" onSubmit={submit}>
        <Field label={words.owner.shownName} required maxLength={100} value={name} onChange={setName} autoFocus />
        <Field label={words.owner.model} required value={upstream} onChange={setUpstream} hint={words.owner.modelHint} />
        <div className="two">
          <Field label={words.owner.context} type="number" min={1} required value={context} onChange={setContext} />
          <Field label={words.owner.output} type="number" min={1} required value={output} onChange={setOutput} />
        </div>
        <Field label={words.owner.slots} type="number" min={0} required value={slots} onChange={setSlots} hint={words.owner.slotsHint} />
        <Trouble error={saving.error} />
        <div className="acts">
          <Button type="tertiary" onClick={close}>{words.cancel}</Button>
          <Button htmlType="submit" theme="solid" loading={saving.isPending}>{words.save}</Button>
        </div>
      </form>
    </Modal>
  );
}

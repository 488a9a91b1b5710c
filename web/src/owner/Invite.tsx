import Button from "@douyinfe/semi-ui-19/lib/es/button";
import Modal from "@douyinfe/semi-ui-19/lib/es/modal";
import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { need, POST } from "../api/client";
import { queries } from "../data";
import { Field } from "../parts/Field";
import { Trouble } from "../parts/Trouble";
import { useWords } from "../words";
import { OneTimeLink } from "./OneTimeLink";

export function Invite({ close }: { close: () => void }) {
  const words = useWords();
  const [note, setNote] = useState("");
  const [admin, setAdmin] = useState(false);
  const inviting = useMutation({
    mutationFn: () => need(POST("/api/owner/invites", { body: { note: note.trim(), admin } })),
    onSuccess: () => queries.invalidateQueries({ queryKey: ["owner", "invites"] }),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    inviting.mutate();
  };
  return (
    <Modal visible centered title={words.owner.inviteTitle} footer={null} onCancel={close}>
      {inviting.data ? (
        <OneTimeLink link={location.origin + inviting.data.path} />
      ) : (
        <form className="model-form" onSubmit={submit}>
          <p className="quiet">{words.owner.inviteHint}</p>
          <Field label={`${words.owner.inviteNote} (${words.optional})`} value={note} onChange={setNote} maxLength={200} autoFocus />
          <label className="check"><input type="checkbox" checked={admin} onChange={(event) => setAdmin(event.target.checked)} />{words.owner.asOwner}</label>
          <Trouble error={inviting.error} />
          <div className="acts">
            <Button type="tertiary" onClick={close}>{words.cancel}</Button>
            <Button htmlType="submit" theme="solid" loading={inviting.isPending}>{words.owner.makeLink}</Button>
          </div>
        </form>
      )}
    </Modal>
  );
}

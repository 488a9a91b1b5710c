import Button from "@douyinfe/semi-ui-19/lib/es/button";
import Modal from "@douyinfe/semi-ui-19/lib/es/modal";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { type Entry, need, PATCH } from "../api/client";
import { queries } from "../data";
import { Field } from "../parts/Field";
import { Trouble } from "../parts/Trouble";
import { useWords } from "../words";

export function Rename({ entry, close }: { entry: Entry; close: () => void }) {
  const words = useWords();
  const [title, setTitle] = useState(entry.title);
  const renaming = useMutation({
    mutationFn: () => need(PATCH("/api/conversations/{conversation_id}", { params: { path: { conversation_id: entry.id } }, body: { title } })),
    onSuccess: async () => {
      await Promise.all([
        queries.invalidateQueries({ queryKey: ["conversations"] }),
        queries.invalidateQueries({ queryKey: ["conversation", entry.id] }),
      ]);
      close();
    },
  });
  return (
    <Modal visible centered title={words.rename} footer={null} onCancel={close}>
      <form
        className="rename"
        onSubmit={(event) => {
          event.preventDefault();
          if (title.trim()) renaming.mutate();
        }}
      >
        <Field label={words.title} value={title} onChange={setTitle} maxLength={200} autoFocus />
        <Trouble error={renaming.error} />
        <div className="row">
          <Button type="tertiary" onClick={close}>{words.cancel}</Button>
          <Button htmlType="submit" theme="solid" disabled={title.trim() === ""} loading={renaming.isPending}>{words.save}</Button>
        </div>
      </form>
    </Modal>
  );
}

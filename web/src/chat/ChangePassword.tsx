import Button from "@douyinfe/semi-ui-19/lib/es/button";
import Modal from "@douyinfe/semi-ui-19/lib/es/modal";
import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { need, PUT, type User } from "../api/client";
import { Field } from "../parts/Field";
import { notice } from "../parts/notices";
import { Trouble } from "../parts/Trouble";
import { useWords } from "../words";

export function ChangePassword({ user, close }: { user: User; close: () => void }) {
  const words = useWords();
  const [current, setCurrent] = useState("");
  const [password, setPassword] = useState("");
  const changing = useMutation({
    mutationFn: () => need(PUT("/api/password", { body: { current_password: current, password } })),
    onSuccess: () => {
      notice({ text: words.passwordChanged });
      close();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    changing.mutate();
  };
  return (
    <Modal visible centered title={words.changePassword} footer={null} onCancel={close}>
      <form className="rename" onSubmit={submit}>
        {/* So that a browser that keeps passwords knows whose this is. */}
        <input className="visually-hidden" type="text" autoComplete="username" value={user.email} readOnly tabIndex={-1} aria-hidden="true" />
        <Field label={words.currentPassword} name="current" type="password" autoComplete="current-password" required autoFocus value={current} onChange={setCurrent} />
        <Field label={words.newPassword} name="password" type="password" autoComplete="new-password" required minLength={8} value={password} onChange={setPassword} hint={words.passwordHint} />
        <p className="quiet">{words.changePasswordHint}</p>
        <Trouble error={changing.error} />
        <div className="row">
          <Button type="tertiary" onClick={close}>{words.cancel}</Button>
          <Button htmlType="submit" theme="solid" loading={changing.isPending}>{words.save}</Button>
        </div>
      </form>
    </Modal>
  );
}

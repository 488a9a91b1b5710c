import Button from "@douyinfe/semi-ui-19/lib/es/button";
import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useLocation } from "wouter";
import type { Site } from "../api/client";
import { Field } from "../parts/Field";
import { Trouble } from "../parts/Trouble";
import { useWords } from "../words";
import { Card } from "./Card";
import { enter, secret } from "./enter";

// By the link that an owner gave to somebody who forgot their password.
export default function NewPassword({ site }: { site: Site }) {
  const words = useWords();
  const [, go] = useLocation();
  const [password, setPassword] = useState("");
  const setting = useMutation({
    mutationFn: () => enter({ kind: "reset", password, token: secret("token") ?? "" }),
    onSuccess: () => go("/"),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setting.mutate();
  };
  return (
    <Card title={site.name} hint={words.resetHint}>
      <form onSubmit={submit}>
        <Field label={words.newPassword} name="password" type="password" autoComplete="new-password" required minLength={8} autoFocus value={password} onChange={setPassword} hint={words.passwordHint} />
        <Trouble error={setting.error} />
        <Button htmlType="submit" theme="solid" size="large" block loading={setting.isPending}>{words.save}</Button>
      </form>
    </Card>
  );
}

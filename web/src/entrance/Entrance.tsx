import { type FormEvent, useState } from "react";
import Button from "@douyinfe/semi-ui-19/lib/es/button";
import { useMutation } from "@tanstack/react-query";
import { type Site } from "../api/client";
import { Field } from "../parts/Field";
import { Trouble } from "../parts/Trouble";
import { useWords } from "../words";
import { Card } from "./Card";
import { enter, secret } from "./enter";

// Signing in, or up.
export default function Entrance({ site }: { site: Site }) {
  const words = useWords();
  const invite = secret("invite");
  const maySignUp = site.registration === "open" || invite !== null;
  const [isNew, setNew] = useState(invite !== null);
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const entering = useMutation({
    mutationFn: () => enter(isNew ? { kind: "signUp", email, password, invite } : { kind: "signIn", email, password }),
  });

  function submit(event: FormEvent) {
    event.preventDefault();
    entering.mutate();
  }

  function change() {
    setNew(!isNew);
    entering.reset();
  }

  const hint = site.needs_setup ? words.setupNeeded : invite ? words.invited : isNew ? words.signUpHint : words.welcomeBack;
  return (
    <Card title={isNew ? words.welcome(site.name) : site.name} hint={hint}>
      <form onSubmit={submit}>
        <Field label={words.email} name="email" type="email" autoComplete="username" required autoFocus value={email} onChange={setEmail} />
        <Field
          label={words.password}
          name="password"
          type="password"
          autoComplete={isNew ? "new-password" : "current-password"}
          required
          minLength={isNew ? 8 : undefined}
          hint={isNew ? words.passwordHint : undefined}
          value={password}
          onChange={setPassword}
        />
        <Trouble error={entering.error} />
        <Button htmlType="submit" theme="solid" size="large" block loading={entering.isPending}>{isNew ? words.signUp : words.signIn}</Button>
      </form>
      {maySignUp && (
        <p className="other">
          {isNew ? words.haveAccount : words.noAccount}{" "}
          <button type="button" className="link" onClick={change}>{isNew ? words.signIn : words.signUp}</button>
        </p>
      )}
      {!maySignUp && !site.needs_setup && site.registration === "invite" && <p className="other">{words.inviteOnly}</p>}
    </Card>
  );
}

import Button from "@douyinfe/semi-ui-19/lib/es/button";
import { useMutation, useQuery } from "@tanstack/react-query";
import { type FormEvent, lazy, Suspense, useState } from "react";
import { Redirect, useLocation } from "wouter";
import { need, PATCH, type Site, type User } from "../api/client";
import { models, queries } from "../data";
import { Field } from "../parts/Field";
import { Trouble } from "../parts/Trouble";
import { useWords } from "../words";
import { Card } from "./Card";
import { enter, secret } from "./enter";
import "./entrance.css";

const ModelForm = lazy(() => import("../owner/ModelForm"));

// From the one-time link to a site that answers: an account, a name, a model.
export default function FirstRun({ site, user }: { site: Site; user: User | null }) {
  const [token] = useState(() => secret("token"));
  const [isFirst] = useState(site.needs_setup); // the link works once
  const [named, setNamed] = useState(false);
  if (user === null) return token === null || !isFirst ? <Redirect to="/" /> : <FirstAccount token={token} />;
  if (!user.admin || !isFirst) return <Redirect to="/" />;
  if (!named) return <SiteName site={site} done={() => setNamed(true)} />;
  return site.real_model ? <Redirect to="/" /> : <FirstModel />;
}

function FirstAccount({ token }: { token: string }) {
  const words = useWords();
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const making = useMutation({ mutationFn: () => enter({ kind: "setUp", email, password, token }) });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    making.mutate();
  };
  return (
    <Card title={words.setUpTitle} hint={words.setUpHint}>
      <Steps now={1} />
      <form onSubmit={submit}>
        <Field label={words.email} name="email" type="email" autoComplete="username" required autoFocus value={email} onChange={setEmail} hint={words.yourAccountHint} />
        <Field label={words.password} name="password" type="password" autoComplete="new-password" required minLength={8} value={password} onChange={setPassword} hint={words.passwordHint} />
        <Trouble error={making.error} />
        <Button htmlType="submit" theme="solid" size="large" block loading={making.isPending}>{words.makeAccount}</Button>
      </form>
    </Card>
  );
}

function SiteName({ site, done }: { site: Site; done: () => void }) {
  const words = useWords();
  const [name, setName] = useState(site.name);
  const naming = useMutation({
    mutationFn: async () => {
      if (name !== site.name) await need(PATCH("/api/owner/site", { body: { site_name: name } }));
      await queries.invalidateQueries({ queryKey: ["site"] });
    },
    onSuccess: done,
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    naming.mutate();
  };
  return (
    <Card title={words.nameSiteTitle} hint={words.nameSiteHint}>
      <Steps now={2} />
      <form onSubmit={submit}>
        <Field label={words.nameSite} name="site" required maxLength={60} autoFocus value={name} onChange={setName} />
        <Trouble error={naming.error} />
        <Button htmlType="submit" theme="solid" size="large" block loading={naming.isPending}>{words.next}</Button>
      </form>
    </Card>
  );
}

function FirstModel() {
  const words = useWords();
  const [, go] = useLocation();
  const { data: offered } = useQuery(models);
  const [connecting, setConnecting] = useState(false);
  const begin = () => go("/");
  if (connecting) {
    return (
      <Card title={words.firstModel} hint={words.firstModelHint} wide>
        <Steps now={3} />
        <Suspense fallback={null}>
          <div className="first-model"><ModelForm done={begin} cancel={() => setConnecting(false)} /></div>
        </Suspense>
      </Card>
    );
  }
  return (
    <Card title={words.firstModel} hint={words.firstModelHint}>
      <Steps now={3} />
      <div className="choices">
        <button type="button" className="choice" onClick={() => setConnecting(true)}>
          <strong>{words.addModelInstead}</strong>
          <span>{words.addModelHint}</span>
        </button>
        {offered?.some(({ demo }) => demo) && (
          <button type="button" className="choice" onClick={begin}>
            <strong>{words.useDemo}</strong>
            <span>{words.useDemoHint}</span>
          </button>
        )}
      </div>
      <p className="other"><button type="button" className="link" onClick={begin}>{words.later}</button></p>
    </Card>
  );
}

function Steps({ now }: { now: number }) {
  const words = useWords();
  return (
    <ol className="steps" aria-label={words.step(now, 3)}>
      {[1, 2, 3].map((step) => (
        <li key={step} className={step < now ? "done" : undefined} aria-current={step === now ? "step" : undefined} />
      ))}
    </ol>
  );
}

import LocaleProvider from "@douyinfe/semi-ui-19/lib/es/locale/localeProvider";
import enUS from "@douyinfe/semi-ui-19/lib/es/locale/source/en_US";
import zhCN from "@douyinfe/semi-ui-19/lib/es/locale/source/zh_CN";
import { QueryClientProvider, useQuery } from "@tanstack/react-query";
import { lazy, Suspense, useEffect } from "react";
import { Route, Switch } from "wouter";
import { queries, session, site } from "./data";
import { Mark } from "./parts/Mark";
import { Unreachable } from "./parts/Unreachable";
import { Speaking, useLanguage } from "./words";

const Chat = lazy(() => import("./chat/Chat"));
const Owner = lazy(() => import("./owner/Owner"));
const Entrance = lazy(() => import("./entrance/Entrance"));
const FirstRun = lazy(() => import("./entrance/FirstRun"));
const NewPassword = lazy(() => import("./entrance/NewPassword"));

export function App() {
  return (
    <QueryClientProvider client={queries}>
      <Speaking>
        <Site />
      </Speaking>
    </QueryClientProvider>
  );
}

function Site() {
  const { language } = useLanguage();
  return (
    <LocaleProvider locale={language === "zh" ? zhCN : enUS}>
      <Suspense fallback={<Waiting />}>
        <Pages />
      </Suspense>
    </LocaleProvider>
  );
}

// Which page is at this address, for a visitor or for a user.
function Pages() {
  const { data: siteNow, error: noSite, refetch: readSite } = useQuery(site);
  const { data: user, error: noUser, refetch: readUser } = useQuery(session);
  useEffect(() => {
    if (siteNow) document.title = siteNow.name;
  }, [siteNow]);
  if (siteNow === undefined || user === undefined) {
    if (!noSite && !noUser) return <Waiting />;
    return <Unreachable error={noSite ?? noUser} again={() => void Promise.all([readSite(), readUser()])} />;
  }
  return (
    <Switch>
      <Route path="/setup"><FirstRun site={siteNow} user={user} /></Route>
      <Route path="/reset"><NewPassword site={siteNow} /></Route>
      {user === null && <Route><Entrance site={siteNow} /></Route>}
      {user?.admin && <Route path="/owner/:part?">{({ part }) => <Owner user={user} site={siteNow} part={part ?? "models"} />}</Route>}
      {user && <Route><Chat user={user} site={siteNow} /></Route>}
    </Switch>
  );
}

function Waiting() {
  return <div className="centre" aria-busy="true"><Mark size={56} waving /></div>;
}

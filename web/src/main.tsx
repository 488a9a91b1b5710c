import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import "@douyinfe/semi-ui-19/lib/es/_base/base.css";
import "./style/tokens.css";
import "./style/base.css";
import { App } from "./App";
import { followSystem } from "./appearance";

followSystem();
createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <App />
  </StrictMode>,
);

import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app";
import { askOtherTabs } from "./auth";
import { applyTheme } from "./theme";
import "./style.css";

applyTheme();
void askOtherTabs().then(() => {
  createRoot(document.getElementById("root")!).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
});

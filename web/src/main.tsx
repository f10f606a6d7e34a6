import { render } from "preact";
import "uplot/dist/uPlot.min.css";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/map.css";
import "./styles/pages.css";
import { App } from "./app";
import { startClock } from "./state/clock";
import { startKeys } from "./state/keys";
import { startLocation } from "./state/location";
import { readSession } from "./state/session";
import { applyTheme } from "./state/theme";

applyTheme();
startLocation();
startClock();
startKeys();
const root = document.getElementById("app");
// First whether one must sign in: otherwise every page would ask in vain. But a server that takes its time to say so must
// not leave the window empty and the keys dead.
const PATIENCE_MS = 1000;
const patience = new Promise((resolve) => setTimeout(resolve, PATIENCE_MS));
if (root) void Promise.race([readSession(), patience]).then(() => render(<App />, root));

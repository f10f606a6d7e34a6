// Encrypted traffic on one host: which libraries in which files are read in plaintext, which are not and why.
import type { Agent, TlsFile } from "../../api/status";
import { bytes, count, MISSING, plural } from "../../domain/format";
import { fileReasons } from "../../domain/tls";
import { serviceHref } from "../links";
import { State } from "./Collectors";

const MOST_SERVICES = 6;

export function Encrypted({ agent }: { agent: Agent }) {
  const { tls } = agent;
  const sockets = agent.collectors.find((one) => one.name === "sockets")?.state;
  return (
    <section>
      <div class="hd"><h2>Encrypted traffic on {agent.host}</h2><span class="sub">of all connections the handshake is read; in plaintext where a library can be probed</span></div>
      {!tls ? <p class="sub">This agent does not report it.</p> : !tls.on && tls.files.length === 0 ? <p class="sub">{sockets === "running" ? "Switched off (tls_plaintext=off): only handshakes are read." : "The collector of sockets does not run."}</p> : <Found agent={agent} files={tls.files} />}
    </section>
  );
}

function Found({ agent, files }: { agent: Agent; files: TlsFile[] }) {
  // A program whose library is listed as not read needs no second line.
  const alone = (agent.tls?.unread ?? []).filter((one) => !one.library).map((one) => one.service);
  if (files.length === 0 && alone.length === 0) return <p class="sub">No TLS library is installed or in use, and no program speaks TLS.</p>;
  return (
    <>
      <table aria-label="TLS libraries">
        <thead><tr><th>Library</th><th>State</th><th>File, and what is missing</th><th>In use by</th><th class="num h1c">probes</th></tr></thead>
        <tbody>
          {files.map((file, at) => (
            <tr key={`${file.path} ${at}`} class="a">
              <td><b>{file.library}</b> <span class="dim">{file.version}</span></td>
              <td><State state={stateOf(file)} text={file.read ? "read" : "not read"} /></td>
              <td class="w mid"><span class="mono">{file.path}</span>{fileReasons(file).map((reason) => <div key={reason} class="dim">{reason}</div>)}</td>
              <td class="w"><Services names={file.services} otherwise={file.processes ? plural(file.processes, "process", "processes") : "nobody now"} /></td>
              <td class="num h1c">{probesText(file)}</td>
            </tr>
          ))}
          {alone.length > 0 && (
            <tr class="a">
              <td>none found</td>
              <td><State state="off" text="not read" /></td>
              <td class="w mid">The programs bring their own TLS, as Java does. Handshakes, connections and bytes are shown.</td>
              <td class="w"><Services names={alone} otherwise={MISSING} /></td>
              <td class="num h1c">{MISSING}</td>
            </tr>
          )}
        </tbody>
      </table>
      <p class="sub" style={{ paddingTop: "8px" }}>{lossText(agent)}</p>
    </>
  );
}

const stateOf = (file: TlsFile) => (file.read ? (file.probes.some((probe) => probe.state === "failed") ? "partly" : "running") : file.probes.some((probe) => probe.state === "failed") ? "failed" : "off");

/** A single-stepped one costs a trap each time that it is passed. */
function probesText({ probes }: TlsFile): string {
  const sum = (of: "count" | "singleStepped") => probes.reduce((all, probe) => all + probe[of], 0);
  return sum("singleStepped") ? `${count(sum("count"))}, ${count(sum("singleStepped"))} slow` : count(sum("count"));
}

function Services({ names, otherwise }: { names: string[]; otherwise: string }) {
  if (names.length === 0) return <span class="dim">{otherwise}</span>;
  return <>{names.slice(0, MOST_SERVICES).map((name, at) => <>{at > 0 && ", "}<a key={name} href={serviceHref("default", name)}>{name}</a></>)}{names.length > MOST_SERVICES && ` and ${count(names.length - MOST_SERVICES)} more`}</>;
}

function lossText(agent: Agent): string {
  const of = (cause: string) => agent.losses.find((loss) => loss.cause === cause)?.count ?? 0;
  const [untied, ambiguous] = [of("tls_untied"), of("tls_ambiguous")];
  const lost = [untied ? `${bytes(untied)} of plaintext whose connection is not known (tls_untied)` : "", ambiguous ? `${plural(ambiguous, "call")} by which a session could not be tied to its connection, as there was more than one (tls_ambiguous)` : ""].filter(Boolean);
  const slow = agent.tls?.files.some((file) => file.probes.some((probe) => probe.singleStepped)) ? " Slow probes are single-stepped by the kernel: some microseconds more at each call." : "";
  return `${lost.length ? `Lost since the start: ${lost.join("; ")}.` : "All plaintext since the start was tied to its connection."}${slow}`;
}

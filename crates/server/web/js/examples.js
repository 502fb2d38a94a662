// Expressions to begin with. They are about the metrics of Hesper itself, and of the simulated fleet of `hesper demo`.

const IPC_COUNT = "name,ipc.server.call,:eq,statistic,count,:eq,:and";

const DATABASE = "name,ipc.client.call,:eq,ipc.server.app,database,:eq,:and";

/** @type {{title: string, about: string, q: string}[]} */
export const EXAMPLES = [
  {
    title: "Latency p99",
    about: "Calls by the app they went to",
    q: "name,ipc.client.call,:eq,(,ipc.server.app,),:by,(,99,),:percentiles,$(ipc.server.app),:legend",
  },
  {
    title: "Errors in %",
    about: "Failed calls of all calls, by app",
    q: `${IPC_COUNT},(,nf.app,),:by,:dup,ipc.result,failure,:eq,:cq,:swap,:div,100,:mul,$(nf.app),:legend`,
  },
  {
    title: "Calls per second",
    about: "By status, one above the other",
    q: `${IPC_COUNT},(,ipc.status,),:by,:stack,$(ipc.status),:legend`,
  },
  {
    title: "Streams per second",
    about: "Now, and ten minutes before",
    q: "name,sps,:eq,:sum,now,:legend,name,sps,:eq,:sum,10m,:offset,10 minutes before,:legend",
  },
  {
    title: "Slow moments",
    about: "Calls of the database, shaded while one in a hundred takes 100 ms",
    q: `${DATABASE},(,50,90,99,),:percentiles,${DATABASE},(,99,),:percentiles,0.1,:gt,:vspan,f00,:color,30,:alpha,slow,:legend`,
  },
  {
    title: "Host CPU",
    about: "How busy this machine is",
    q: "name,sys.cpu.utilization,:eq,:max,:area,CPU in %,:legend",
  },
  {
    title: "Hesper: ingest",
    about: "Datapoints received and accepted per second",
    q: "name,hesper.ingest.datapoints,:eq,(,id,),:by,$(id),:legend",
  },
  {
    title: "Hesper: requests",
    about: "HTTP requests p99, by endpoint",
    q: "name,hesper.http.requests,:eq,(,endpoint,),:by,(,99,),:percentiles,$(endpoint),:legend",
  },
];

/**
 * Fills a list with the examples.
 * @param {HTMLElement} list
 * @param {(q: string) => void} choose
 */
export function showExamples(list, choose) {
  const items = EXAMPLES.map(({ title, about, q }) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "example";
    button.title = `${about}\n${q}`;
    const head = document.createElement("b");
    head.textContent = title;
    const text = document.createElement("span");
    text.textContent = about;
    button.append(head, text);
    button.addEventListener("click", () => choose(q));
    const item = document.createElement("li");
    item.append(button);
    return item;
  });
  list.replaceChildren(...items);
}

/**
 * What a scenario is asked and what it answers: plain figures, so that they can be sent from a worker thread, written to a file
 * and merged with those of other runs. Scenarios fill these in with the functions of `measure/`; `report/` judges and prints.
 *
 * Shares are between 0 and 1, times are simulated milliseconds since the start of the world unless a comment says otherwise.
 * A figure that could not be taken (nobody joined, nothing failed) is NaN here and null in a file.
 */

/** What every scenario can be told; one that has no use for a figure ignores it. */
export interface ScenarioOptions {
  /** Nodes when it is fully grown; hostile ones are among them. */
  n: number
  seed: number
  /** How long the part that is looked at lasts, after formation; a scenario whose text fixes a time ignores it. */
  hours: number
  /** Share of nodes behind NATs. */
  privateShare: number
  /** Share of hidden pairs between which hole punching works. */
  punchShare: number
  /** Share of TCP segments that have to be sent again. */
  loss: number
  /** massfail, relaycrash: which share stops at one instant. */
  failShare?: number
  /** massfail: how long the rest is looked at after that; 20 minutes unless said. */
  healingMs?: number
  /** churn: which share leaves, and as many join, every minute. */
  churnPerMinute?: number
  /** partition: how long it lasts. */
  partitionMs?: number
  /** byz, byz-growth, slot-exhaust, ddos-victim: share of hostile nodes among all. */
  hostileShare?: number
  /** How many honest nodes each hostile one dials a minute. */
  hostileDialsPerMinute?: number
  /** Share of the IP groups that hostile nodes are in. */
  hostileGroups?: number
  /** byz: hours of undisturbed formation before the hostile nodes arrive. */
  formationHours?: number
}

/** Told now and then while a scenario runs: at least every simulated minute, from inside the run. */
export interface Progress {
  /** `forming`, `attacked`, `healing`: what the scenario is at. */
  phase: string
  atMs: number
  /** When it will be over; NaN while that is not known. */
  untilMs: number
  /** Events handled so far. */
  events: number
  /** The last moment of the series, when there is one. */
  moment?: Moment
}

export type Report = (progress: Progress) => void

/** One point of a scenario's time series; `Series` of `measure/` makes it from a picture. */
export interface Moment {
  atMs: number
  /** Honest nodes that have joined, or have had a minute to do so; the other figures are of these. */
  alive: number
  /** Links that both ends count as theirs, between nodes that are alive. */
  links: number
  /** Share of nodes in the largest component; of honest nodes over honest links where there are hostile ones. */
  component: number
  /** Share of those links that join both sides of a partition; 0 without one. */
  crossSide: number
  /** What honest nodes hold: share of hostile peers in slots, among chosen and among accepted neighbours. */
  hostileSlots: number
  hostileChosen: number
  hostileAccepted: number
  /** Share of honest nodes that have neighbours, all of them hostile. */
  eclipsed: number
  /** Mean bytes a second and node since the last moment; 0 in the first. */
  sentPerSecond: number
  receivedPerSecond: number
}

/** A whole number for each node, counted: `counts[3]` nodes had three. */
export type Counts = number[]

export interface Spread {
  mean: number
  p1: number
  p50: number
  p95: number
  p99: number
  max: number
}

/** Everything that can be read off one picture; `measure` of `measure/` makes it. Of the nodes that `alive` counts. */
export interface Measured {
  atMs: number
  /** Honest nodes that are alive and have joined, or have had a minute to do so. */
  alive: number
  hostile: number
  links: number
  /** Share of neighbours that one side counts and the other (alive) does not. */
  oneSided: number
  component: number
  /** Share of nodes without any neighbour. */
  isolated: number
  clustering: number
  averagePath: number
  longestPath: number
  /** Neighbours of a node: chosen by it; accepted by it; chosen and the 8 oldest accepted; all. */
  chosen: Spread
  accepted: Spread
  active: Spread
  total: Spread
  /** Mean number of slots filled. */
  slotsFilled: number
  /** Standard deviation over mean of how often a node is in id-ranked slots. */
  slotsSpread: number
  /** Public share in id-ranked slots minus public share of nodes; the same of group-ranked ones. */
  publicBias: number
  publicBiasByGroup: number
  /** Share of slots that hold a dead node. */
  staleSlots: number
  /** Accepted neighbours of a hidden node over those of a public one. */
  hiddenToPublic: number
  hostileSlots: number
  hostileChosen: number
  hostileAccepted: number
  eclipsed: number
  crossSide: number
  histograms: { chosen: Counts; accepted: Counts; total: Counts; slotsInDegree: Counts }
}

/** Bytes a second, each node over one stretch of time; `trafficFrom` of `measure/` makes it from two pictures. */
export interface Traffic {
  fromMs: number
  toMs: number
  sent: Spread
  received: Spread
  /** The larger direction of each node in steps of `step` bytes a second. */
  histogram: { step: number; counts: Counts }
}

/** One application message that went from neighbour to neighbour. */
export interface Flood {
  atMs: number
  /** Share of the nodes that were alive all the time which got it; of honest ones. */
  reach: number
  hops: number
  /** From the first node to the last. */
  tookMs: number
}

/** How long nodes took from their start to three neighbours of their own choosing; `joins` of `measure/`. */
export interface Joins {
  started: number
  /** Share of those that got there before the end. */
  joined: number
  /** Over all that started: Infinity where not that many got there. */
  p50Ms: number
  p95Ms: number
  p99Ms: number
}

interface Common {
  /** After formation, at least every simulated minute; every second or so right after something happens. */
  series: Moment[]
  /** `stateHash()` of the world at the end. */
  stateHash: string
  events: number
  /** Simulated time at the end. */
  endedMs: number
}

/** Grows, then nothing happens. Rows 1 to 8, 25, 26. */
export interface Steady extends Common {
  formedMs: number
  /** Smallest component at any minute after formation. */
  worstComponent: number
  /** At 1, 2, 4, 6, 8, 24, 48 hours since the start, as far as it runs, and at the end. */
  checks: Measured[]
  /** Ten at the end, from random nodes. */
  floods: Flood[]
  /** Over the last half of the time after formation. */
  traffic: Traffic
  /** Bytes of heap in use at the end over nodes, after `globalThis.gc` (the workers have it); NaN without. */
  heapPerNode: number
}

/** Only growth: 10 minutes past the last start. Feeds rows 1, 2, 4 and 5 when `steady` was not run. */
export interface Formation extends Common {
  formedMs: number
  end: Measured
  floods: Flood[]
  public: Joins
  hidden: Joins
}

/** `failShare` of all nodes stop at one instant. Rows 9 to 12. */
export interface Massfail extends Common {
  failedMs: number
  before: Measured
  /** Started at the instant of the failure. */
  firstFlood: Flood
  /** Largest component among the survivors so long after the failure. */
  component: { after1min: number; after2min: number; after5min: number; after20min: number }
  /** From the failure to a component of 0.999 that stays; NaN if never. */
  healedAfterMs: number
  end: Measured
}

/** Rows 13 and 14: over the whole stretch of churn. */
export interface Churn extends Common {
  worstComponent: number
  meanComponent: number
  /** One every ten minutes. */
  floods: Flood[]
  dials: number
  dialsFailed: number
  end: Measured
}

/** Rows 15 and 16. */
export interface Partition extends Common {
  splitMs: number
  healedMs: number
  /** From the end of the partition until one component holds 0.999 of all nodes; NaN if never. */
  mergedAfterMs: number
  /** 60 minutes after its end. */
  crossSideAfter60min: number
  before: Measured
  end: Measured
}

/** byz, byz-growth, slot-exhaust. Rows 17 to 21. */
export interface Byzantine extends Common {
  /** When the first hostile node came; 0 in growth. */
  attackedMs: number
  end: Measured
}

/** Row 22. */
export interface DdosVictim extends Common {
  attackedMs: number
  /** Honest dials at the victim's address. */
  dials: number
  /** Honest dials at it a minute and 1,000 honest nodes, over the attack and in its worst minute. */
  perMinuteAndThousand: number
  worstMinutePerThousand: number
  /** Most dials at it by one honest node. */
  mostByOne: number
}

/** Row 24, join: nodes that join an overlay that is there. */
export interface Join extends Common {
  public: Joins
  hidden: Joins
}

/** Row 24, flash crowd: from n/10 to n in 10 minutes. */
export interface FlashCrowd extends Common {
  crowd: Joins
  /** From the last arrival until one component holds 0.999 of all; 0 if it never was less; NaN if never. */
  wholeAfterMs: number
  end: Measured
}

export interface RelayCrash extends Common {
  crashedMs: number
  /** Hidden nodes without a neighbour, and without a living relay, one minute later. */
  isolatedAfter1min: number
  unreachableAfter1min: number
  end: Measured
}

/** Clocks off by hours at some nodes. */
export interface ClockSkew extends Common {
  end: Measured
  /** Of the nodes whose clocks are off. */
  skewed: { joins: Joins; inSlotsComparedToOthers: number }
}

/** Row 23. Small n; every link has the real liveness machine. */
export interface Detect extends Common {
  deaths: number
  detectedP50Ms: number
  detectedP99Ms: number
  linkHours: number
  falseDown: number
}

export interface SmallN extends Common {
  /** One world for each size. */
  sizes: { n: number; component: number; joinedShare: number; joinedMs: number }[]
}

/** Row 27: one small run three times; made of `steady` by the report, no scenario of the world's. */
export interface Determinism {
  n: number
  hashes: string[]
}

export interface Results {
  formation: Formation
  steady: Steady
  massfail: Massfail
  churn: Churn
  partition: Partition
  byz: Byzantine
  'byz-growth': Byzantine
  'slot-exhaust': Byzantine
  'ddos-victim': DdosVictim
  flashcrowd: FlashCrowd
  join: Join
  relaycrash: RelayCrash
  clockskew: ClockSkew
  detect: Detect
  smalln: SmallN
}

export type ScenarioName = keyof Results

/** What `scenarios/index.ts` exports as `scenarios`: one function each, that runs to the end without awaiting anything. */
export type Scenarios = {
  [Name in ScenarioName]: (options: ScenarioOptions, report: Report) => Results[Name]
}

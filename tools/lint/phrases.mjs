// Phrases that the texts of this project do not use, and plain words for them. [pattern, what to write
// instead].

/** In comments, strings and documents. */
export const phrases = [
  [/\b(whoever|whomever|whosoever)\b/i, 'the caller, the user, code that …'],
  [/\b(nobody|somebody|oneself|one's own)\b/i, 'nothing, the caller, its own'],
  [/\bthe way (back|there)\b/i, 'the backward pass'],
  [/\b(go|goes|going|went) backward\b/i, 'run the backward pass'],
  [/\bplay(s|ing)? a (graphics )?card\b|\bplay(s|ing)? the graphics card\b/i, 'software adapter'],
  [/\bgraphics cards?\b|\bthe card\b|\bon cards?\b/i, 'GPU'],
  [/\bdisposed of\b/i, 'disposed'],
  [/\b(is|are|was|were|be) (had|reckoned)\b|\breckon(s|ed)?\b/i, 'is returned, is estimated'],
  [
    /\b(is|are|was|were) told\b|\btold (by|of|that)\b|\btells? (of|from|who)\b/i,
    'receives, reports, distinguishes',
  ],
  [/\banew\b/i, 'again'],
  [/\bcomes? of\b|\bcame of\b/i, 'comes from, is produced by'],
  [/\bknows? (nothing|of no|no)\b/i, 'is independent of'],
  [/\bbeside\b/i, 'besides, next to, and'],
  [/\b(go|goes|going|went) on\b/i, 'continue'],
  [/\bin vain\b/i, 'without effect'],
  [/\bweather\b/i, 'machine load'],
  [/\bobeys?\b/i, 'handles'],
  [/\bunrest\b/i, 'spread'],
  [/\bwaves of time\b/i, 'timestep embedding'],
  [/\bthe thread behind\b/i, 'background thread'],
  [/\bfor (lack|want) of\b/i, 'because … is missing'],
  [/\bat one go\b/i, 'in one step'],
  [/\bby turns\b/i, 'alternately'],
  [/\bas (ever|before it was)\b/i, 'as usual'],
  [/\bwhere (there is|there are|it is|they are) (none|no)\b/i, 'if there is none'],
  [/\bof which (none|no)\b/i, 'none of which'],
  [/\bthe house\b/i, 'the architecture'],
  [/\b(least|fewest|most) (of all )?that\b/i, 'minimum, maximum'],

  [/\bso it is\b|\bso does it\b/i, 'the same holds for'],
  [/\bmade ready\b/i, 'prepared'],
  [/\bleft alone\b|\bleaves? alone\b/i, 'not changed'],
  [/\bput to use\b/i, 'used'],
  [/\btaken? (from|away) (it|them) again\b/i, 'removed'],
  [/\bmends?\b|\bmended\b/i, 'fix, correct'],
  [/\bfew(er)? yet\b|\bmore yet\b/i, 'even fewer'],
];

/** In identifiers: the field's terms are max, min and index. mostWords is a deprecated public name. */
export const identifiers = [
  [/\bk?[mM]ost(?!Words\b|Frequent|Recent|Common|Significant)[A-Z]\w*|\bk[A-Z]\w*Most\b/, 'max…'],
  [/\bk?[lL]east[A-Z]\w*|\bk?[fF]ewest[A-Z]\w*/, 'min…'],
  [
    /\b(passOn|sumShared|toPatches|fromPatches|timeWaves|slopes?)\b/,
    'broadcastAdd, patchify, timestep embedding, gradient',
  ],
];

// What states, endings and refusals are called on the page.

const CALL_STATUS = {
  dialing: 'dialling…',
  ringing: 'ringing…',
  automation: 'sending digits…',
  active: 'on the line',
  hangup: 'hung up',
};

const AGENT_STATE = {
  initializing: 'getting ready…',
  idle: 'idle',
  listening: 'listening',
  thinking: 'thinking…',
  speaking: 'speaking',
};

export function isPhone(participant) {
  return participant.kind === LivekitClient.ParticipantKind.SIP;
}

export function isAgent(participant) {
  return participant.kind === LivekitClient.ParticipantKind.AGENT;
}

export function callStatus(status) {
  return CALL_STATUS[status] ?? '';
}

export function nameOf(participant) {
  const { attributes, identity, isLocal, name } = participant;
  if (isLocal) return 'You';
  // An agent that has no name for people has the one it is dispatched by.
  const dispatched = attributes['lk.agent.name'] || attributes['lk.agent_name'];
  return name || (dispatched && inWords(dispatched)) || spaced(attributes['sip.phoneNumber'] || identity);
}

// appointment-confirmation: Appointment confirmation
function inWords(name) {
  const words = name.replace(/[-_]+/g, ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

export function detailOf(participant) {
  if (participant.isLocal) return 'your microphone';
  if (!isPhone(participant)) return isAgent(participant) ? 'agent' : 'in a browser or an app';
  const number = participant.attributes['sip.phoneNumber'];
  return number && participant.name ? spaced(number) : 'phone';
}

// North American numbers in their usual groups; others as they are.
function spaced(number) {
  return number.replace(/^\+1(\d{3})(\d{3})(\d{4})$/, '+1 $1 $2 $3');
}

export function stateOf(participant) {
  const { attributes, isSpeaking } = participant;
  const agent = AGENT_STATE[attributes['lk.agent.state']];
  if (agent) return agent;
  const phone = attributes['sip.callStatus'];
  if (phone && phone !== 'active') return callStatus(phone);
  if (isSpeaking) return 'speaking';
  if (participant.isLocal) return 'on';
  return phone ? callStatus(phone) : 'in the room';
}

// What a disconnected room client says to a person: a sentence, and whether it is bad news.
export function ending(reason) {
  const { DisconnectReason } = LivekitClient;
  switch (reason) {
    case DisconnectReason.CLIENT_INITIATED:
      return ['You have left the call.', false];
    case DisconnectReason.ROOM_DELETED:
    case DisconnectReason.ROOM_CLOSED:
      return ['The call is over.', false];
    case DisconnectReason.PARTICIPANT_REMOVED:
      return ['Somebody took you out of the call.', true];
    case DisconnectReason.SERVER_SHUTDOWN:
      return ['The room server was stopped.', true];
    default:
      return ['The connection to the call is lost, and could not be made again.', true];
  }
}

// Why joining failed.
export function refusal(error, url) {
  switch (error.status) {
    case 401:
    case 403:
      return /expired/i.test(error.message)
        ? 'The token of this page has expired. Join again for a fresh one.'
        : `The room server does not accept the key of this page (${error.message}).`;
    case 404:
      return 'The call is over.';
    default:
      return `No room server answers at ${url}. Is it running?`;
  }
}

export function minutes(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}

// Loaded before SolidLab's server, which has no setting for the address it listens on: a port is a port of the loopback address.
const net = require('node:net');

const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (port, ...rest) {
  if (typeof port !== 'number') {
    return listen.call(this, port, ...rest);
  }
  return listen.call(this, port, '127.0.0.1', ...rest.filter((one) => typeof one === 'function'));
};
